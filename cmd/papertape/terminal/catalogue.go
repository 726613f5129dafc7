package terminal

import (
	"fmt"
	"strings"

	"github.com/papertape/papertape/client"
)

// Language is a language of the terminal.
type Language string

// The languages.
const (
	English Language = "en"
	Chinese Language = "zh"
)

// LanguageOf returns the language that the environment asks for: Chinese if the locale for messages
// is Chinese, else English.
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

// The texts, each with the values that it takes.
const (
	// Login, lists.
	keyLoggedIn key = iota // uid, account, sequence, address
	keyTotals              // amounts
	keyEmpty
	keyMenu
	keyHoldingsOf // account, sequence

	// Column heads.
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
	keyResetMark
	keyRowsGone // how many
	keyTakenBack
	keyCorrected
	keyBecause // actor, reason
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

	// Quotes in detail.
	keyQuoteTitle    // SH.600519, name, last, change, status
	keyQuoteSides    // bid, ask, shares of each
	keyQuoteDay      // open, high, low, shares, previous close
	keyQuoteUntraded // previous close
	keyIsOpen
	keyIsClosed
	keyIsHalted
	keyIsInAuction

	// The chart.
	keyChartTitle // SH.600519, name, date and zone, last, change, open, high, low, shares
	keyChartVolume
	keyChartEmpty // SH.600519
	keyChartUsage // command

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

// catalogue has all texts of one language.
type catalogue struct {
	texts   [keys]string
	refused map[client.RejectCode]string    // titles of refusals
	goodbye map[client.GoodbyeReason]string // titles of the reasons for which the server ends a connection
	verbs   []verbNames                     // in the order of the menu
}

// verbNames are the names of a command in one language. The first is the one that completion and
// the menu show. The names of the other language are understood as well.
type verbNames struct {
	verb  verb
	names []string
	form  string // its arguments, as the menu shows them
	help  string
}

// catalogueOf is the catalogue of a language.
func catalogueOf(l Language) *catalogue {
	if l == Chinese {
		return &chinese
	}
	return &english
}

// say formats a text with its values.
func (c *catalogue) say(k key, values ...any) string {
	if len(values) == 0 {
		return c.texts[k]
	}
	return fmt.Sprintf(c.texts[k], values...)
}

// name returns the first name of a command.
func (c *catalogue) name(v verb) string {
	for i := range c.verbs {
		if c.verbs[i].verb == v {
			return c.verbs[i].names[0]
		}
	}
	return ""
}

// menu lists the commands, one a line. Where a command's name is not the English one, the English
// name stands beside it.
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
		b.WriteString("  " + left(names[i], wideName) + " " + left(c.verbs[i].form, wideForm) + "  " +
			c.verbs[i].help + "\n")
	}
	return b.String()
}

// CommandNames returns the names of the commands for a shell's completion.
func CommandNames() []string {
	names := make([]string, len(english.verbs))
	for i := range english.verbs {
		names[i] = english.verbs[i].names[0] + "\t" + english.verbs[i].help
	}
	return names
}
