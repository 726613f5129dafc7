// Logging in: by a code in the fragment of the address, which no server and no log sees, or by a token.
const form = document.getElementById("login"), said = document.getElementById("login-said");
const texts = JSON.parse(document.getElementById("texts").textContent);
const next = form.dataset.next;

async function login(body) {
  said.textContent = texts["login.trying"];
  said.className = "said dim";
  try {
    const answer = await fetch("/api/v1/login", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    if (answer.ok) { location.replace(next); return; }
    const why = await answer.json().catch(() => null);
    said.textContent = why?.error?.message ?? texts.failed;
  } catch {
    said.textContent = texts["no.connection"];
  }
  said.className = "said bad";
  form.elements.token.focus();
}

form.addEventListener("submit", (e) => {
  e.preventDefault();
  login({ token: form.elements.token.value });
});

function byCode() {
  const code = decodeURIComponent(location.hash.slice(1));
  if (!code) return;
  history.replaceState(null, "", location.pathname + location.search);
  login({ code });
}
addEventListener("hashchange", byCode);
byCode();
if (!isSecureContext) document.getElementById("insecure").hidden = false;
document.documentElement.dataset.ready = "yes";
