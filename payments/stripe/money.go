package stripe

import (
	"strconv"
	"strings"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
)

// exponents are the decimals of Stripe's amounts where they are not those of ISO 4217 (Supported currencies, "Special
// cases" and "Zero-decimal currencies"): ISK and UGX lost their decimals and are still written with two.
var exponents = map[string]int{"ISK": 2, "UGX": 2, "MGA": 0}

// decimals returns how many the currency has at Stripe; unknown ones are taken as they come.
func (p *Provider) decimals(currency string) int {
	if n, special := p.cfg.Exponents[currency]; special {
		return n
	}
	n, _ := state.Exponent(currency)
	return n
}

// outward writes an amount in Stripe's smallest unit; false when that would lose a fraction. Of three decimals the last
// must be 0 (Supported currencies, "Three-decimal currencies").
func (p *Provider) outward(m payments.Money) (int64, bool) {
	n := p.decimals(m.Currency)
	whole, fraction, _ := strings.Cut(m.Decimal(), ".")
	rest := ""
	if len(fraction) > n {
		fraction, rest = fraction[:n], fraction[n:]
	}
	minor, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", n-len(fraction)), 10, 64)
	return minor, err == nil && strings.Trim(rest, "0") == "" && (n < 3 || minor%10 == 0)
}

// inward reads an amount in Stripe's smallest unit; false when it is negative, out of bounds or a fraction of ours. A
// currency that we do not know stays as it is, for a person to see.
func (p *Provider) inward(minor int64, currency string) (payments.Money, bool) {
	if minor < 0 || minor > state.MaxMinor {
		return payments.Money{}, false
	}
	if _, known := state.Exponent(currency); !known {
		return payments.Money{Minor: minor, Currency: currency}, currency != ""
	}
	n := p.decimals(currency)
	digits := strconv.FormatInt(minor, 10)
	digits = strings.Repeat("0", max(0, n+1-len(digits))) + digits
	text := digits[:len(digits)-n]
	if n > 0 {
		text += "." + digits[len(digits)-n:]
	}
	m, err := state.Parse(text, currency)
	return m, err == nil
}
