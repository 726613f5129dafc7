package webtest

import (
	"bytes"
	"flag"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the pictures in docs/images/console")

// view is how a picture is taken.
type view struct {
	name, path, lang, theme string
	width, height           int64
}

// pictures are those in docs/images/console, which the pages of docs show.
var pictures = []view{
	{"overview", "/console/", "en", "dark", 1280, 760},
	{"account", "/console/accounts/100017", "zh", "light", 1280, 900},
	{"account-narrow", "/console/accounts/100017", "zh", "dark", 360, 740},
	{"accounts", "/console/accounts", "en", "light", 1280, 640},
	{"sessions", "/console/sessions", "en", "dark", 1280, 480},
	{"sessions-narrow", "/console/sessions", "en", "light", 360, 740},
	{"simulator", "/console/simulator", "zh", "dark", 1280, 640},
	{"journal", "/console/journal", "en", "light", 1280, 900},
	{"instruments", "/console/instruments?instrument=SH.600030", "zh", "dark", 1280, 760},
	{"settings", "/console/settings?q=simulator", "en", "dark", 1280, 420},
	{"audit", "/console/audit", "en", "light", 1280, 480},
	{"login", "/console/login", "zh", "light", 640, 420},
}

// TestPictures takes a picture of each page, in both languages and themes, wide and narrow, of a server at work. With
// -update they are kept.
func TestPictures(t *testing.T) {
	if testing.Short() {
		t.Skip("it lets a server work for a while")
	}
	s := newServer(t, "--accounts", "100", "--simulator.rate", "200")
	p := newBrowser(t).tab(s.base())
	p.logIn(s)
	p.still()
	s.terminal("100017").shows("total market value")
	s.terminal("100042").shows("total market value")
	p.prefer("zone", "shanghai")
	p.open("/console/")
	p.until(`document.querySelector('[data-spark="events"] polyline:not(.area)')
		.getAttribute("points").split(" ").length > 25`)
	dir := filepath.Join("..", "..", "docs", "images", "console")
	for _, v := range pictures {
		p.size(v.width, v.height)
		p.prefer("lang", v.lang)
		p.prefer("theme", v.theme)
		p.open(v.path)
		if v.name != "login" {
			p.until(`document.querySelector("#state").classList.contains("good")
				&& parseFloat(document.querySelector("#age").textContent) < 3`)
		}
		image := p.picture()
		config, err := png.DecodeConfig(bytes.NewReader(image))
		if err != nil || int64(config.Width) != v.width || int64(config.Height) != v.height {
			t.Errorf("%s: %v, %+v", v.name, err, config)
		}
		if !*update {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, v.name+".png"), image, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
