package console

import (
	"errors"
	"net/http"
	"net/url"
)

// origins checks which site's page had a browser make a request.
type origins struct{ http.CrossOriginProtection }

// newOrigins trusts the pages of these hosts, besides the console's own.
func newOrigins(names []string) (*origins, error) {
	o := new(origins)
	for _, name := range names {
		for _, scheme := range []string{"http", "https"} {
			if err := o.AddTrustedOrigin((&url.URL{Scheme: scheme, Host: name}).String()); err != nil {
				return nil, err
			}
		}
	}
	return o, nil
}

var errTwoOrigins = errors.New("the request says twice where it comes from")

// check returns an error if a page of another site makes the request. It treats reads like
// writes, because what is read here is not for every page, and may cost much.
func (o *origins) check(r *http.Request) error {
	if len(r.Header["Sec-Fetch-Site"]) > 1 || len(r.Header["Origin"]) > 1 {
		return errTwoOrigins
	}
	changing := r.WithContext(r.Context())
	changing.Method = http.MethodPost // GET would pass the check
	return o.Check(changing)
}

// saysItsOrigin reports whether a change says which page asks for it, as browsers always do.
func saysItsOrigin(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead ||
		r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != ""
}

// visitsLogin reports whether a browser follows a link to the page that logs it in. That page is for everybody and
// shows nothing, no other can read or frame it, and papertape console leads there from a file.
func visitsLogin(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == loginPage && r.Header.Get("Sec-Fetch-Mode") == "navigate" &&
		r.Header.Get("Sec-Fetch-Dest") == "document"
}
