package register

import (
	"cmp"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments/state"
)

// places are the indexes of the mapped columns, in the order of Columns; -1 for those that are not in the file.
type places [7]int

func (m Mapping) find(headings []string) (places, error) {
	var at places
	for i, heading := range m.Columns.all() {
		at[i] = -1
		if *heading == "" {
			continue
		}
		for j, name := range headings {
			if plain(name) == plain(*heading) {
				at[i] = j
				break
			}
		}
		if at[i] < 0 {
			return at, wrong(m.Skip+1, "There is no column %q.", *heading)
		}
	}
	return at, nil
}

func plain(heading string) string {
	return strings.ToLower(strings.Join(strings.Fields(heading), " "))
}

// line reads one line; ok is false for one that is left out.
func (m Mapping) line(n int, fields []string, at places, skipped Skipped) (l Line, ok bool, err error) {
	cell := func(i int) string {
		if at[i] < 0 || at[i] >= len(fields) {
			return ""
		}
		return strings.TrimSpace(strings.Trim(strings.TrimSpace(fields[at[i]]), "'"))
	}
	if strings.TrimSpace(strings.Join(fields, "")) == "" {
		return l, false, nil
	}
	l = Line{N: n, Kind: cmp.Or(m.Every, Payment), Reference: cell(1), ProviderRef: cell(2), Currency: strings.ToUpper(cell(5))}
	if at[0] >= 0 {
		if l.Kind, ok = m.Kinds[cell(0)]; !ok {
			skipped.add(cell(0))
			return l, false, nil
		}
	}
	if l.Currency == "" {
		l.Currency = m.Currency
	}
	switch {
	case !known(l.Currency):
		return l, false, wrong(n, "The currency is not known here.")
	case !usable(l.Reference) || !usable(l.ProviderRef):
		return l, false, wrong(n, "The reference cannot be used.")
	case l.Reference == "" && l.ProviderRef == "" && l.Kind != Payout && l.Kind != Fee:
		return l, false, wrong(n, "A reference is missing.")
	}
	if l.Minor, err = m.amount(n, cell(3), l.Currency); err != nil {
		return l, false, err
	}
	if fee := cell(4); fee != "" {
		if l.Fee, err = m.amount(n, fee, l.Currency); err != nil {
			return l, false, err
		}
	}
	if at[0] < 0 && l.Minor < 0 && l.Kind == Payment {
		l.Kind = Refund
	}
	if l.Minor = max(l.Minor, -l.Minor); l.Kind == Fee && l.Fee == 0 {
		l.Minor, l.Fee = 0, l.Minor
	}
	l.Day, err = m.day(n, cell(6))
	return l, err == nil, err
}

// amount reads decimal text with this file's decimal sign, whatever separates its thousands.
func (m Mapping) amount(n int, text, currency string) (int64, error) {
	group := ","
	if m.Decimal == "," {
		group = "."
	}
	text = strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "", "\u2212", "-", group, "", m.Decimal, ".").Replace(text)
	digits, negative := strings.CutPrefix(text, "-")
	money, err := state.Parse(strings.TrimPrefix(digits, "+"), currency)
	if err != nil {
		return 0, wrong(n, "An amount cannot be read.")
	}
	if negative {
		return -money.Minor, nil
	}
	return money.Minor, nil
}

func (m Mapping) day(n int, text string) (time.Time, error) {
	layout := dates[m.Date]
	if len(text) < len(layout) {
		return time.Time{}, wrong(n, "The date is not like %s.", m.Date)
	}
	day, err := time.Parse(layout, text[:len(layout)])
	if err != nil || day.Year() < 2000 || day.Year() > 2100 {
		return time.Time{}, wrong(n, "The date is not like %s.", m.Date)
	}
	return day, nil
}
