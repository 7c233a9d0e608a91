package state

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Money is an amount in integer minor units of an ISO 4217 currency. AMD has two decimals here, as everywhere
// inside Dealpay, although no coin of it exists.
type Money struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

// ErrMoney is returned for an amount or currency that cannot be understood.
var ErrMoney = errors.New("state: not an amount of money")

// MaxMinor bounds every amount, so that sums over a deal cannot overflow: ten billion major units of a
// two-decimal currency.
const MaxMinor = 1_000_000_000_000

var exponents = map[string]int{"AMD": 2, "RUB": 2, "USD": 2, "EUR": 2, "GBP": 2, "GEL": 2, "KZT": 2, "UAH": 2,
	"BYN": 2, "UZS": 2, "KGS": 2, "BRL": 2, "MXN": 2, "ARS": 2, "COP": 2, "PEN": 2, "TRY": 2, "AED": 2, "IDR": 2,
	"INR": 2, "CNY": 2, "CHF": 2, "PLN": 2, "CZK": 2, "CAD": 2, "AUD": 2, "CLP": 0, "JPY": 0, "KRW": 0, "VND": 0,
	"PYG": 0, "KWD": 3, "BHD": 3, "OMR": 3, "JOD": 3, "TND": 3}

// Exponent returns how many decimals the currency has (ISO 4217), and whether we know it.
func Exponent(currency string) (int, bool) {
	e, ok := exponents[currency]
	return e, ok
}

// Parse reads decimal text in major units ("1500", "1500.5", "1500.50"). It refuses signs, exponents,
// grouping, more decimals than the currency has unless they are zero, and amounts over MaxMinor.
func Parse(decimal, currency string) (Money, error) {
	exp, ok := Exponent(currency)
	if !ok {
		return Money{}, fmt.Errorf("%w: unknown currency %q", ErrMoney, currency)
	}
	whole, frac, dot := strings.Cut(decimal, ".")
	if whole == "" || len(whole) > 13 || !digits(whole) || !digits(frac) || (dot && frac == "") {
		return Money{}, fmt.Errorf("%w: %q", ErrMoney, decimal)
	}
	if len(frac) > exp {
		if strings.Trim(frac[exp:], "0") != "" {
			return Money{}, fmt.Errorf("%w: %q has more decimals than %s", ErrMoney, decimal, currency)
		}
		frac = frac[:exp]
	}
	minor, err := strconv.ParseInt(whole+frac+strings.Repeat("0", exp-len(frac)), 10, 64)
	if err != nil || minor > MaxMinor {
		return Money{}, fmt.Errorf("%w: %q is too large", ErrMoney, decimal)
	}
	return Money{Minor: minor, Currency: currency}, nil
}

func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}

// Decimal is the amount in major units with all its decimals ("1500.50"). An unknown currency is written with two.
func (m Money) Decimal() string {
	exp, ok := Exponent(m.Currency)
	if !ok {
		exp = 2
	}
	sign, n := "", m.Minor
	if n < 0 {
		sign, n = "-", -n
	}
	s := fmt.Sprintf("%0*d", exp+1, n)
	if exp == 0 {
		return sign + s
	}
	return sign + s[:len(s)-exp] + "." + s[len(s)-exp:]
}

func (m Money) String() string { return m.Decimal() + " " + m.Currency }

// Valid says whether the money may be charged: a known currency and a positive amount within MaxMinor.
func (m Money) Valid() bool {
	_, ok := Exponent(m.Currency)
	return ok && m.Minor > 0 && m.Minor <= MaxMinor
}
