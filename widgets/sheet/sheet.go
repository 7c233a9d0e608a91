// Package sheet writes tables for accountants row by row: CSV, CSV as 1C reads it, and XLSX.
package sheet

import (
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments/state"
)

// Cell is one value of a row. Its zero value is an empty cell.
type Cell struct {
	text  string
	money *state.Money
	when  time.Time
	day   bool
}

// Text is a cell of words. Whoever wrote them, no spreadsheet takes them for a formula.
func Text(s string) Cell { return Cell{text: s} }

// Money is a cell of an amount, without its currency.
func Money(minor int64, currency string) Cell {
	return Cell{money: &state.Money{Minor: minor, Currency: currency}}
}

// Day is a cell of a date.
func Day(t time.Time) Cell { return Cell{when: t, day: true} }

// Time is a cell of a moment; empty for the zero time.
func Time(t time.Time) Cell { return Cell{when: t} }

// Writer writes rows. Close ends the table, Discard gives it up; neither closes what it is written to.
type Writer interface {
	Row(cells ...Cell) error
	Close() error
	Discard()
}

// guarded is text that a spreadsheet would otherwise run: those of OWASP's list on CSV injection, with their full-width
// twins.
func guarded(s string) string {
	if strings.ContainsAny(s[:min(1, len(s))], "=+-@\t\r\n") || strings.HasPrefix(s, "＝") || strings.HasPrefix(s, "＋") ||
		strings.HasPrefix(s, "－") || strings.HasPrefix(s, "＠") {
		return "'" + s
	}
	return s
}
