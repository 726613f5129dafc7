package webtest

import "testing"

// TestOperatorsButtons presses what the walk does not: a correction, a pause, kicks, the level of the log, a copy.
func TestOperatorsButtons(t *testing.T) {
	if testing.Short() {
		t.Skip("it presses many buttons")
	}
	s := newServer(t, "--accounts", "20", "--simulator.rate", "50")
	p := newBrowser(t).tab(s.base())
	p.size(1280, 900)
	p.logIn(s)
	p.prefer("lang", "en")
	c := s.terminal("100017")
	s.run("simulate", "--rate", "0") // or it may sell what is corrected
	trade := p.boughtBy(s, c)

	p.click(`[data-correct="` + trade + `"]`)
	p.says("#bust .said", "Change the price or the quantity.")
	p.fill(`#bust [name="price"]`, "9.5")
	p.fill(`#bust [name="quantity"]`, "200")
	p.says("#bust .said", "as of event")
	p.fill(`#bust [name="reason"]`, "mistyped")
	p.fill(`#bust [name="confirm"]`, trade)
	p.click(`#bust .go:not([disabled])`)
	p.says("#notices", "Trade "+trade+" was corrected.")
	c.shows("9.50")

	s.run("simulate", "--rate", "50")
	p.open("/console/simulator")
	p.click(`[data-flow="pause"]`)
	p.says("#flow .said", "It goes on at 50")
	p.says("#rate-now + small", "paused")
	if rate := s.ask("/api/v1/simulator")["rate"]; rate != 0.0 {
		t.Errorf("paused, it makes %v", rate)
	}
	p.click(`[data-flow="resume"]`)
	p.says("#rate-now", "50")

	p.open("/console/sessions")
	p.says("tbody th", "100017")
	p.click("[data-dialog=kick]")
	p.fill(`#kick [name="reason"]`, "the desk is closed")
	p.click("#kick .go")
	p.says("#notices", "was ended")
	c.shows("the desk is closed")
	other := s.terminal("100018")
	other.shows("total market value")
	p.open("/console/sessions?account=100018")
	p.click("input[name=uid]")
	p.says("#kick-chosen", "(1)")
	p.click("#kick-chosen")
	p.fill(`#kicks [name="number"]`, "2")
	if !eval[bool](p, `document.querySelector("#kicks .go").disabled`) {
		t.Error("the wrong number is taken")
	}
	p.fill(`#kicks [name="number"]`, "1")
	p.click("#kicks .go:not([disabled])")
	p.says("#notices", "1 sessions were ended.")

	p.open("/console/settings")
	eval[bool](p, `(() => { const s = document.querySelector("#log-level"); s.value = "debug";
		s.dispatchEvent(new Event("change")); return true })()`)
	p.says("#log-said", "debug")
	if level := s.ask("/api/v1/log")["level"]; level != "debug" {
		t.Errorf("the level is %v", level)
	}
	p.open("/console/audit?result=done")
	p.says("tbody td", "PUT /api/v1/log")
	p.click("#logout")
	p.says(".who", "Log in")
}

// boughtBy has an account buy something, shows the account, and returns the trade's id.
func (p *tab) boughtBy(s *server, c *terminal) string {
	p.t.Helper()
	p.open("/console/accounts/100017")
	return p.buy(c, "100017")
}

// TestAccountsAreOpenedAndFunded: an account is opened, funded, emptied and reset, each with a reason, and a reset by
// its number too.
func TestAccountsAreOpenedAndFunded(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills in forms")
	}
	s := newServer(t, "--accounts", "3", "--simulator.rate", "0")
	p := newBrowser(t).tab(s.base())
	p.size(1280, 900)
	p.logIn(s)
	p.prefer("lang", "en")
	p.open("/console/accounts")
	p.click(`[data-dialog="open"]`)
	p.fill(`#open [name="cash"]`, "5000")
	p.fill(`#open [name="reason"]`, "a new desk")
	p.click("#open .go")
	p.until(`location.pathname === "/console/accounts/100004" && document.documentElement.dataset.ready === "yes"`)
	for _, step := range []struct{ name, amount, said, cash string }{
		{"deposit", "250.5", "The deposit to account 100004 is booked.", "5,250.50"},
		{"withdraw", "50", "The withdrawal from account 100004 is booked.", "5,200.50"},
	} {
		p.click(`[data-dialog="` + step.name + `"]`)
		p.fill(`#`+step.name+` [name="amount"]`, step.amount)
		p.fill(`#`+step.name+` [name="reason"]`, "of the test")
		p.click("#" + step.name + " .go")
		p.says("#notices", step.said)
		p.says(".tile dd", step.cash)
	}
	p.excuse("409")
	p.click(`[data-dialog="withdraw"]`)
	p.fill(`#withdraw [name="amount"]`, "999999")
	p.fill(`#withdraw [name="reason"]`, "too much")
	p.click("#withdraw .go")
	p.until(`document.querySelector("#withdraw .said").classList.contains("bad")`)
	p.click("#withdraw [data-close]")
	p.click(`[data-dialog="reset"]`)
	p.fill(`#reset [name="reason"]`, "begin anew")
	if !eval[bool](p, `document.querySelector("#reset .go").disabled`) {
		t.Error("it can be reset before its number was typed")
	}
	p.fill(`#reset [name="confirm"]`, "100004")
	p.click("#reset .go:not([disabled])")
	p.says("#notices", "Account 100004 was reset.")
	p.says(".tile dd", "5,000.00")
	p.says("tbody .badge", "reset")
}
