// Package register reads the registers that acquirers and banks send: CSV files of settled payments, each bank with
// columns of its own, which a [Mapping] names. It is pure: text in, lines out.
package register

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dealpay/dealpay/payments/state"
	"golang.org/x/text/encoding/charmap"
)

// Kind says what a line is about.
type Kind string

// The kinds of lines.
const (
	Payment    Kind = "payment"
	Refund     Kind = "refund"
	Chargeback Kind = "chargeback"
	Payout     Kind = "payout" // to the merchant's bank account, usually many payments at once
	Fee        Kind = "fee"    // that belongs to no single payment
)

// Kinds lists them.
var Kinds = []Kind{Payment, Refund, Chargeback, Payout, Fee}

// Mapping says how to read one acquirer's registers. Columns are named by their headings, letter case and blanks aside.
type Mapping struct {
	Delimiter string          `json:"delimiter"` // "," ";" "|" or a tab
	Encoding  string          `json:"encoding"`  // utf-8 or windows-1251
	Decimal   string          `json:"decimal"`   // "." or ","
	Date      string          `json:"date"`      // yyyy-mm-dd, dd.mm.yyyy, dd/mm/yyyy, mm/dd/yyyy or yyyymmdd; what follows it in the cell is left out
	Currency  string          `json:"currency"`  // of lines that name none
	Skip      int             `json:"skip"`      // lines before the headings
	Columns   Columns         `json:"columns"`
	Kinds     map[string]Kind `json:"kinds"`           // what the column "kind" says, such as "Purchase"; other lines are left out
	Every     Kind            `json:"every,omitempty"` // what every line is where no column says so, such as payout in a bank's statement; payment when empty
}

// Columns are headings; empty ones are not in the file.
type Columns struct {
	Kind        string `json:"kind"`         // without it every line is what Every says, and a negative payment is a refund
	Reference   string `json:"reference"`    // our order number; payouts and fees need none
	ProviderRef string `json:"provider_ref"` // the acquirer's own reference
	Amount      string `json:"amount"`
	Fee         string `json:"fee"`
	Currency    string `json:"currency"`
	Date        string `json:"date"` // of settlement
}

// Line is one settled thing. Amounts are minor units; Minor is never negative, Fee is when it was given back.
type Line struct {
	N           int // line of the file, from 1
	Kind        Kind
	Reference   string
	ProviderRef string
	Currency    string
	Minor       int64
	Fee         int64
	Day         time.Time // of settlement, as midnight UTC
}

// Error says what cannot be read, in words for whoever uploaded it. N is the line of the file, 0 for the mapping or the
// whole file.
type Error struct {
	N      int
	Detail string
}

func (e *Error) Error() string {
	if e.N == 0 {
		return "register: " + e.Detail
	}
	return fmt.Sprintf("register: line %d: %s", e.N, e.Detail)
}

func wrong(n int, detail string, args ...any) error { return &Error{n, fmt.Sprintf(detail, args...)} }

var dates = map[string]string{"yyyy-mm-dd": time.DateOnly, "dd.mm.yyyy": "02.01.2006", "dd/mm/yyyy": "02/01/2006", "mm/dd/yyyy": "01/02/2006", "yyyymmdd": "20060102"}

const maxText = 200 // of a heading or a reference

// Check says what is wrong with a mapping; nil when files can be read by it. Error: *Error.
func (m Mapping) Check() error {
	switch {
	case !slices.Contains([]string{",", ";", "|", "\t"}, m.Delimiter):
		return wrong(0, "The delimiter must be a comma, a semicolon, a bar or a tab.")
	case m.Encoding != "utf-8" && m.Encoding != "windows-1251":
		return wrong(0, "The encoding must be utf-8 or windows-1251.")
	case m.Decimal != "." && m.Decimal != ",":
		return wrong(0, "The decimal sign must be a point or a comma.")
	case dates[m.Date] == "":
		return wrong(0, "The date must be yyyy-mm-dd, dd.mm.yyyy, dd/mm/yyyy, mm/dd/yyyy or yyyymmdd.")
	case m.Skip < 0 || m.Skip > 100:
		return wrong(0, "Between 0 and 100 lines can be skipped.")
	case m.Columns.Kind != "" && m.Every != "", m.Every != "" && !slices.Contains(Kinds, m.Every):
		return wrong(0, "What every line is can be said where no column says it, and must be a kind of line.")
	case m.Columns.Amount == "" || m.Columns.Date == "" || m.Columns.Reference+m.Columns.ProviderRef == "" && m.Every != Payout && m.Every != Fee:
		return wrong(0, "The columns for the amount, the date and a reference are needed.")
	case m.Columns.Currency == "" && !known(m.Currency):
		return wrong(0, "Name the currency's column, or one known currency for the whole file.")
	case m.Currency != "" && !known(m.Currency):
		return wrong(0, "The currency is not known here.")
	case (m.Columns.Kind == "") != (len(m.Kinds) == 0) || len(m.Kinds) > 100:
		return wrong(0, "The kind's column and what its words mean go together.")
	}
	for word, kind := range m.Kinds {
		if !slices.Contains(Kinds, kind) || !usable(word) {
			return wrong(0, "%q is no kind of line.", string(kind))
		}
	}
	for _, heading := range m.Columns.all() {
		if !usable(*heading) {
			return wrong(0, "A heading is longer than %d bytes, or no text.", maxText)
		}
	}
	return nil
}

// Names says whether the mapping understands some of the lines that were left out.
func (m Mapping) Names(skipped Skipped) bool {
	for word := range skipped {
		if _, ok := m.Kinds[word]; ok || m.Columns.Kind == "" {
			return true
		}
	}
	return false
}

func usable(text string) bool {
	return len(text) <= maxText && !strings.ContainsRune(text, 0) && utf8.ValidString(text)
}

func known(currency string) bool {
	_, ok := state.Exponent(currency)
	return ok
}

func (c *Columns) all() []*string {
	return []*string{&c.Kind, &c.Reference, &c.ProviderRef, &c.Amount, &c.Fee, &c.Currency, &c.Date}
}

// Skipped counts lines that were left out, by the word in their kind's column. Under "" are those without a word there, and
// words beyond the first maxWords.
type Skipped map[string]int

// maxWords bounds how many words of lines that were left out are named.
const maxWords = 20

func (s Skipped) add(word string) {
	if _, there := s[word]; !there && len(s) >= maxWords || !usable(word) {
		word = ""
	}
	s[word]++
}

// Total is how many lines were left out.
func (s Skipped) Total() (n int) {
	for _, lines := range s {
		n += lines
	}
	return n
}

// Read hands every line of a register to each, in order. Blank lines are left out, and so are lines of no mapped kind,
// which are counted. Errors: *Error, or each's own.
func Read(r io.Reader, m Mapping, each func(Line) error) (Skipped, error) {
	skipped := Skipped{}
	if err := m.Check(); err != nil {
		return skipped, err
	}
	if m.Encoding == "windows-1251" {
		r = charmap.Windows1251.NewDecoder().Reader(r)
	}
	text := bufio.NewReader(r)
	if mark, _ := text.Peek(3); string(mark) == "\uFEFF" {
		_, _ = text.Discard(3)
	}
	for range m.Skip {
		if _, err := text.ReadString('\n'); err != nil {
			return skipped, wrong(0, "The file ends before the headings.")
		}
	}
	table := csv.NewReader(text)
	table.Comma = rune(m.Delimiter[0])
	table.FieldsPerRecord, table.ReuseRecord, table.LazyQuotes = -1, true, true
	headings, err := table.Read()
	if err != nil {
		return skipped, wrong(m.Skip+1, "The headings cannot be read.")
	}
	at, err := m.find(headings)
	if err != nil {
		return skipped, err
	}
	for {
		fields, err := table.Read()
		if errors.Is(err, io.EOF) {
			return skipped, nil
		}
		if err != nil {
			var broken *csv.ParseError
			if errors.As(err, &broken) {
				return skipped, wrong(broken.StartLine+m.Skip, "The line cannot be read.")
			}
			return skipped, wrong(0, "The file cannot be read.")
		}
		n, _ := table.FieldPos(0)
		line, ok, err := m.line(n+m.Skip, fields, at, skipped)
		if err == nil && ok {
			err = each(line)
		}
		if err != nil {
			return skipped, err
		}
	}
}
