// Package keys says who may come in. A key has an id, a role, the accounts it grants, and a secret that only
// its holder has. The server keeps a verifier of the secret, with which nobody can log in.
//
// All keys of a server are in one text file, a line for each:
//
//	papertape keys 1
//	# id                verifier    role   accounts              the rest
//	PK7Q2M4XTB3DJ6WN    hmac:kHq0…  trade  100001,100010-100019  name="desk 7" expires=2027-06-30
//	PKGRAFANA0000001    hmac:…      watch  -                     name=grafana from=10.0.0.0/8
//
// The server reads it at the start, and again when it is told to. A command edits it:
//
//	store, err := keys.Open(path)        // the server: a snapshot that any goroutine may ask
//	key, refusal := store.Login(&attempt) // each LOGIN
//	change, err := store.Reload()         // after an edit; Still says of each session's key what became of it
//	err = keys.Edit(path, func(f *keys.File) error { return f.Add(&key) })
//
// The secret S is 32 random bytes, written as 43 characters of base64url. From it follow
//
//	CK    = HMAC-SHA256(S, "papertape-v2 client key")
//	V     = SHA-256(CK), the verifier
//	proof = CK XOR HMAC-SHA256(V, "papertape-v2" | nonce | client_nonce | account as 8 bytes, big-endian)
//
// Who has V can compute the HMAC, so a proof tells him CK, and he can compare its hash with V. But V alone does
// not tell CK, so who reads the file cannot log in. S needs no salt and no slow hash, as no person chooses it.
// Everything is compared in constant time. A Secret prints as a placeholder.
package keys
