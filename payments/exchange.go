package payments

import (
	"context"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
)

// Exchange is the currency a customer pays in where the deal has another one, and the rate a person chose. An empty rate
// means the tenant's table.
type Exchange struct {
	Currency string `json:"currency"`
	Rate     string `json:"rate"` // units of Currency for one of the deal's, as decimal text
}

// quote is what an invoice asks for: in what the customer pays, and what it settles of the deal.
type quote struct {
	charge   Money
	claim    *Money // nil when the customer pays in the deal's currency
	rate     string
	rateFrom string // manager or table
}

var rateForm = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,10})?$`)

// ParseRate reads a rate such as "387.5". It is more than zero. Error: Invalid.
func ParseRate(text string) (*big.Rat, error) {
	rate := new(big.Rat)
	if rateForm.MatchString(text) { // first: an exponent can be long work
		rate.SetString(text)
	}
	if rate.Sign() <= 0 {
		return nil, invalid("rate_unusable", "The rate %q is not a positive number such as 387.5.", text)
	}
	return rate, nil
}

// convert turns an amount into another currency by a rate, rounded half up to whole units of unit minor units.
func convert(m Money, currency string, rate *big.Rat, unit int64) (Money, error) {
	from, ok := state.Exponent(m.Currency)
	to, known := state.Exponent(currency)
	if !ok || !known {
		return Money{}, invalid("currency_unknown", "The currency %q is not known here.", currency)
	}
	exact := new(big.Rat).Mul(big.NewRat(m.Minor, 1), rate)
	exact.Mul(exact, new(big.Rat).SetFrac(power(to), power(from)))
	minor := roundTo(exact, unit)
	if !minor.IsInt64() || minor.Int64() > state.MaxMinor {
		return Money{}, invalid("amount_too_large", "The amount in %s is too large.", currency)
	}
	if minor.Sign() == 0 {
		return Money{}, invalid("amount_not_positive", "The amount in %s would be nothing.", currency)
	}
	return Money{Minor: minor.Int64(), Currency: currency}, nil
}

func power(exponent int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(exponent)), nil)
}

// roundTo rounds half up to a multiple of unit.
func roundTo(exact *big.Rat, unit int64) *big.Int {
	q := new(big.Rat).Quo(exact, big.NewRat(unit, 1))
	q.Add(q, big.NewRat(1, 2))
	n := new(big.Int).Div(q.Num(), q.Denom())
	return n.Mul(n, big.NewInt(unit))
}

// quote says what to ask the customer for: the amount itself where an acquirer takes its currency, or else what it makes
// at the rate that a person gave or the tenant's table has. Errors: Invalid, ErrNoAcquirer.
func (s *Service) quote(ctx context.Context, tx *tenants.Tx, in NewInvoice) (quote, error) {
	amount := in.Terms.Amount
	if in.Exchange == nil || in.Exchange.Currency == amount.Currency {
		direct, err := s.offered(ctx, tx, in.Pipeline, amount, in.Acquirer)
		if err != nil || len(direct) > 0 || in.Exchange != nil {
			return quote{charge: amount}, err
		}
	}
	me, err := tx.Me(ctx)
	if err != nil {
		return quote{}, err
	}
	currency, text, from, err := s.rate(ctx, tx, in, me.Settings.Payments.Rates)
	if err != nil {
		return quote{}, err
	}
	rate, err := ParseRate(text)
	if err != nil {
		return quote{}, err
	}
	unit, err := s.unit(ctx, tx, in.Pipeline, currency, in.Acquirer, 0)
	if err != nil {
		return quote{}, err
	}
	charge, err := convert(amount, currency, rate, unit)
	return quote{charge: charge, claim: &amount, rate: text, rateFrom: from}, err
}

// rate finds the currency to pay in and its rate. Error: ErrNoAcquirer when neither a person nor the table knows one.
func (s *Service) rate(ctx context.Context, tx *tenants.Tx, in NewInvoice, table map[string]string) (currency, rate, from string, err error) {
	if in.Exchange != nil && in.Exchange.Rate != "" {
		return in.Exchange.Currency, in.Exchange.Rate, "manager", nil
	}
	linked, err := s.candidates(ctx, tx, in.Pipeline, "", in.Acquirer)
	if err != nil {
		return "", "", "", err
	}
	for _, l := range linked {
		for _, currency := range s.Providers[l.Acquirer].Describe().Currencies {
			text, ok := table[in.Terms.Amount.Currency+"/"+currency]
			if !ok || in.Exchange != nil && in.Exchange.Currency != currency {
				continue
			}
			routed, err := s.candidates(ctx, tx, in.Pipeline, currency, in.Acquirer)
			if err != nil || slices.ContainsFunc(routed, func(r Linked) bool { return r.ID == l.ID }) {
				return currency, text, "table", err
			}
		}
	}
	return "", "", "", ErrNoAcquirer
}

// rounded is an amount of an invoice's claim in what its customer pays, at its frozen rate.
func (s *Service) rounded(ctx context.Context, tx *tenants.Tx, in Invoice, claim Money) (Money, error) {
	if in.Rate == "" {
		return claim, nil
	}
	if claim.Currency != *in.ClaimCurrency {
		return Money{}, invalid("currency_frozen", "This invoice settles %s of the deal; give the amount in it.", *in.ClaimCurrency)
	}
	rate, err := ParseRate(in.Rate)
	if err != nil {
		return Money{}, err
	}
	unit, err := s.unit(ctx, tx, in.Pipeline, in.Currency, in.Acquirer, 0)
	if err != nil {
		return Money{}, err
	}
	return convert(claim, in.Currency, rate, unit)
}

// Claim is what the invoice settles of its deal, in the deal's currency.
func (i Invoice) Claim() Money {
	if i.ClaimMinor == nil || i.ClaimCurrency == nil {
		return i.Amount()
	}
	return Money{Minor: *i.ClaimMinor, Currency: *i.ClaimCurrency}
}

// inDeal is an amount of the invoice in the deal's currency, at the invoice's own rate: the whole is exactly the claim.
func (i Invoice) inDeal(minor int64) int64 {
	claim := i.Claim()
	if i.Rate == "" || minor == 0 {
		return minor
	}
	return roundTo(big.NewRat(claim.Minor, 1).Mul(big.NewRat(claim.Minor, 1), big.NewRat(minor, i.Minor)), 1).Int64()
}

// CheckRates refuses a table of rates that cannot be used: pairs such as "USD/AMD" with a positive number each.
func CheckRates(table map[string]string) error {
	for pair, rate := range table {
		from, to, _ := strings.Cut(pair, "/")
		_, ok := state.Exponent(from)
		_, known := state.Exponent(to)
		if !ok || !known || from == to {
			return invalid("rate_pair_unknown", "%q is not two different currencies such as USD/AMD.", pair)
		}
		if _, err := ParseRate(rate); err != nil {
			return fmt.Errorf("rate of %s: %w", pair, err)
		}
	}
	return nil
}

// owed is what the invoice still asks of the deal: with what was counted it makes the whole claim.
func (i Invoice) owed() int64 {
	if i.Outstanding == 0 || i.Rate == "" {
		return i.Outstanding
	}
	return max(1, i.Claim().Minor-i.inDeal(i.Minor-i.Outstanding))
}
