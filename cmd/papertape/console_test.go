package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestConsole: the address that the command prints logs a browser in, once.
func TestConsole(t *testing.T) {
	at := runServer(t)
	out, err := runAdmin(t.Context(), at, "console")
	url := strings.TrimSpace(out)
	page, code, _ := strings.Cut(url, "#")
	if err != nil || page != "http://"+at.admin+"/console/login" || code == "" {
		t.Fatalf("it printed %q, %v", out, err)
	}
	login := func(code string) int {
		t.Helper()
		resp, err := http.Post("http://"+at.admin+"/api/v1/login", "application/json",
			strings.NewReader(`{"code":"`+code+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // it is read
		text, _ := io.ReadAll(resp.Body)
		if resp.StatusCode == http.StatusOK && !strings.Contains(string(text), `"role":"operate"`) {
			t.Errorf("logged in as %s", text)
		}
		return resp.StatusCode
	}
	if got := login(code); got != http.StatusOK {
		t.Errorf("the code: %d", got)
	}
	if got := login(code); got != http.StatusUnauthorized {
		t.Errorf("the code again: %d", got)
	}
	if out, err = runAdmin(t.Context(), at, "console", "-o", "json", "--no-open"); err != nil {
		t.Fatal(err)
	}
	var found struct{ URL string }
	if err := json.Unmarshal([]byte(out), &found); err != nil || !strings.HasPrefix(found.URL, page+"#") {
		t.Errorf("as JSON: %s, %v", out, err)
	}
}

func TestConsoleURL(t *testing.T) {
	for admin, want := range map[string]string{
		"127.0.0.1:7301": "http://127.0.0.1:7301", "0.0.0.0:7301": "http://127.0.0.1:7301", ":7301": "http://127.0.0.1:7301",
		"[::]:7301": "http://127.0.0.1:7301", "[::1]:7301": "http://[::1]:7301", "localhost:7301": "http://localhost:7301",
		"https://desk.example.com:7301": "https://desk.example.com:7301",
	} {
		if got := consoleURL(admin); got != want {
			t.Errorf("%s: %s, want %s", admin, got, want)
		}
	}
}
