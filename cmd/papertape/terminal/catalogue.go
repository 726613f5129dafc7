package terminal

import (
	"fmt"
	"strings"

	"github.com/papertape/papertape/client"
)

// Language is one that the terminal speaks.
type Language string

// The languages.
const (
	English Language = "en"
	Chinese Language = "zh"
)

// LanguageOf is the language that the environment asks for: Chinese where the locale for messages is, else English.
func LanguageOf(getenv func(string) string) Language {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if locale := getenv(name); locale != "" {
			if strings.HasPrefix(strings.ToLower(locale), "zh") {
				return Chinese
			}
			return English
		}
	}
	return English
}

// key names a text of the catalogue.
type key int

// The texts, with the values that they take.
const (
	// Login, lists.
	keyLoggedIn key = iota // uid, account, sequence, address
	keyTotals              // amounts
	keyEmpty
	keyMenu
	keyHoldingsOf // account, sequence

	// Heads of columns.
	keyMarket
	keyCode
	keyName
	keyQuantity
	keySellable
	keyPrice
	keyMarketValue
	keyCost
	keyProfit
	keyRealised
	keyAll
	keySeq
	keyTime
	keyChange
	keySide
	keyAmount
	keyWho
	keyHoldsAfter
	keyCashAfter
	keyTradePrice
	keyPreviousClose
	keyMove

	// The tape.
	keyBuy
	keySell
	keyYou
	keyOther
	keySimulator
	keyOperator
	keyHolds  // shares after
	keyCashIs // amount after
	keyCashMark
	keyTakenBack
	keyCorrected
	keyBecause // who, why
	keyStandsNow
	keyCascade         // ids of trades
	keyBeforeAfter     // SH.600519, name, shares, shares, amounts
	keyCashBeforeAfter // amounts
	keyOnline          // account, uid, number
	keyOffline         // account, uid, number

	// History.
	keyHistoryTitle // shown, sequence of the newest
	keyHistoryEmpty
	keyHistoryKept   // sequence
	keyMarkTakenBack // buy
	keyMarkCorrected // buy

	// The connection.
	keyLost   // why
	keyTrying // attempt, why, duration
	keyAgain  // duration, uid, address
	keyNothingMissed
	keyMissed        // events
	keyMissedHidden  // events, command
	keyUpToDate      // sequence
	keyResynced      // as keyAgain
	keyResyncSkipped // events, command
	keyResyncSame
	keyDiffers

	// Answers to commands.
	keyPresenceOn
	keyPresenceOff
	keyFirstOfAll   // number
	keyRefused      // what it is called, the server's sentence
	keyGoodbye      // what it is called, the server's sentence
	keyGaveUp       // the line
	keyOrderGaveUp  // the line
	keyNoAnswer     // why
	keyOrderUnknown // why, command
	keyQueueFull    // number, the line
	keyNoneBegun    // why
	keyTooMany      // number, most
	keyRestDropped  // number
	keyPasteTooLong // bytes, most
	keyLeaveHint    // command
	keyBye
	keyInterrupted
	keyInterruptedOrder // the line, command
	keyLine             // number, the line, what was wrong
	keyLineFault        // number, what was wrong

	// Bad input.
	keyUnknownCommand // word, command
	keyMeant          // word, command
	keyOrderUsage     // command
	keyNoQuantity     // command, instrument
	keyBadQuantity    // word, most
	keyHidden         // word, the character
	keyBadPrice       // word, most
	keyNoPrice
	keyAfterPrice    // words
	keyTakesNothing  // command, words
	keyBadCount      // word, most
	keyPresenceUsage // command
	keyPresenceAlone
	keyTooLong // most bytes
	keyUTF16
	keyNUL
	keyNotUTF8
	keyIsItRunning
	keyUnknownInstrument // words, instrument
	keyInstrumentNear    // words, instruments
	keyOr

	keys
)

// catalogue is what one language says.
type catalogue struct {
	texts   [keys]string
	refused map[client.RejectCode]string    // what a refusal is called
	goodbye map[client.GoodbyeReason]string // what an end of the server's making is called
	verbs   []verbNames                     // in the order of the menu
}

// verbNames are how a command is called in a language: the first of its names is the one that is completed and shown. The
// names of the other language are understood as well.
type verbNames struct {
	verb  verb
	names []string
	form  string // what follows it, as in the menu
	help  string
}

// catalogueOf is the catalogue of a language.
func catalogueOf(l Language) *catalogue {
	if l == Chinese {
		return &chinese
	}
	return &english
}

// say is a text with its values.
func (c *catalogue) say(k key, values ...any) string {
	if len(values) == 0 {
		return c.texts[k]
	}
	return fmt.Sprintf(c.texts[k], values...)
}

// name is the first name of a command.
func (c *catalogue) name(v verb) string {
	for i := range c.verbs {
		if c.verbs[i].verb == v {
			return c.verbs[i].names[0]
		}
	}
	return ""
}

// menu lists the commands, a line each. Where they are not called as in English, that name stands beside.
func (c *catalogue) menu() string {
	names, wideName, wideForm := make([]string, len(c.verbs)), 0, 0
	for i := range c.verbs {
		names[i] = c.verbs[i].names[0]
		if c != &english {
			names[i] += " " + english.name(c.verbs[i].verb)
		}
		wideName, wideForm = max(wideName, columns(names[i])), max(wideForm, columns(c.verbs[i].form))
	}
	var b strings.Builder
	b.WriteString(c.say(keyMenu) + "\n")
	for i := range c.verbs {
		b.WriteString("  " + left(names[i], wideName) + " " + left(c.verbs[i].form, wideForm) + "  " + c.verbs[i].help + "\n")
	}
	return b.String()
}

// CommandNames are the commands, as completion of a shell offers them.
func CommandNames() []string {
	names := make([]string, len(english.verbs))
	for i := range english.verbs {
		names[i] = english.verbs[i].names[0] + "\t" + english.verbs[i].help
	}
	return names
}
