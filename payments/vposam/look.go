package vposam

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

// Look asks for the session. A cancelled one has all its money back, which is a refund if it had been captured before.
// A status that is not understood, an unknown session, or money without an amount is
// ErrNothingNew, with the API's word in Code.
func (p *Provider) Look(ctx context.Context, c payments.Connection, o payments.Order) (payments.Observation, error) {
	if !wire.Plain(o.ProviderRef) {
		return payments.Observation{}, fmt.Errorf("%w: vposam: no session was opened", payments.ErrNothingNew)
	}
	path := strings.ReplaceAll(p.cfg.StatusPath, "{id}", url.PathEscape(o.ProviderRef))
	answer, err := p.call(ctx, c, http.MethodGet, path, "", nil)
	if err != nil {
		return payments.Observation{}, fmt.Errorf("vposam: look: %w", err)
	}
	s, err := parseSession(answer)
	if err != nil {
		return payments.Observation{}, fmt.Errorf("%w: vposam: look: unreadable answer", payments.ErrUnavailable)
	}
	return p.observe(s, c.Credentials["merchant_id"], o)
}

func (p *Provider) observe(s session, merchant string, o payments.Order) (payments.Observation, error) {
	obs := payments.Observation{Reference: s.Order, ProviderRef: s.ID, PaidAt: s.PaidAt, Code: s.Status, Raw: s.redacted()}
	if s.Code != "" {
		obs.Code = s.Code
	}
	status, known := p.cfg.Statuses[s.Status]
	if !known || (s.ID == "" && s.Order == "") {
		return obs, fmt.Errorf("%w: vposam: status %q", payments.ErrUnclear, s.Status)
	}
	obs.Status, obs.Busy = status, status == state.Pending && s.Status == processing
	obs.Foreign = (s.ID != "" && s.ID != o.ProviderRef) || (s.Order != "" && s.Order != o.Reference) ||
		(s.Merchant != "" && merchant != "" && s.Merchant != merchant)
	captured, refunded, ok := s.money()
	if status == state.AttemptCancelled && ok {
		obs.Refunded, _ = p.inward(captured, s.Currency)
	}
	if status != state.AttemptPaid {
		return obs, nil
	}
	if !ok {
		obs.Status = ""
		return obs, fmt.Errorf("%w: vposam: paid, but the amounts make no sense", payments.ErrUnclear)
	}
	if obs.Captured, ok = p.inward(captured, s.Currency); ok {
		obs.Refunded, ok = p.inward(refunded, s.Currency)
	}
	if !ok {
		obs.Status, obs.Captured = "", payments.Money{}
		return obs, fmt.Errorf("%w: vposam: paid, but the amount is out of bounds", payments.ErrUnclear)
	}
	for _, d := range s.Disputes {
		if kind, known := disputeKinds[d.Status]; known {
			amount, _ := p.inward(d.Amount, s.Currency)
			obs.Disputes = append(obs.Disputes, payments.Dispute{Ref: d.ID, Amount: amount, Status: kind})
		}
	}
	return obs, nil
}

var disputeKinds = map[string]state.FactKind{"opened": state.DisputeOpened, "open": state.DisputeOpened,
	"won": state.DisputeWon, "lost": state.DisputeLost}

// money returns what was captured and what went back, in the API's minor units.
func (s session) money() (captured, refunded int64, ok bool) {
	switch {
	case s.Captured != nil:
		captured = *s.Captured
	case s.Amount != nil:
		captured = *s.Amount
	}
	switch {
	case s.Refunded != nil:
		refunded = *s.Refunded
	case s.Status == "refunded":
		refunded = captured
	}
	return captured, refunded, captured > 0 && refunded >= 0 && refunded <= captured && s.Currency != ""
}

// exponents returns the decimals of a currency in the API and inside; a currency that nobody knows has the same.
func (p *Provider) exponents(currency string) (api, inside int) {
	inside, known := state.Exponent(currency)
	if !known {
		return 0, 0
	}
	if api, ok := p.cfg.AmountExponents[currency]; ok {
		return api, inside
	}
	return inside, inside
}

// outward turns money into the API's minor units; false when it would lose a fraction.
func (p *Provider) outward(m payments.Money) (int64, bool) {
	api, inside := p.exponents(m.Currency)
	return scale(m.Minor, inside, api)
}

// inward is the opposite of outward.
func (p *Provider) inward(minor int64, currency string) (payments.Money, bool) {
	api, inside := p.exponents(currency)
	n, ok := scale(minor, api, inside)
	return payments.Money{Minor: n, Currency: currency}, ok
}

func scale(n int64, from, to int) (int64, bool) {
	if n < 0 || n > state.MaxMinor {
		return 0, false
	}
	for ; from < to; from++ {
		n *= 10
		if n > state.MaxMinor {
			return 0, false
		}
	}
	for ; from > to; from-- {
		if n%10 != 0 {
			return 0, false
		}
		n /= 10
	}
	return n, true
}
