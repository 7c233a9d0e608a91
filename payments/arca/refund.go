package arca

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

// yerevan is where the calendar day of a reversal is counted.
var yerevan = time.FixedZone("AMT", 4*60*60)

// Refund gives money back. The gateway takes no idempotency key, so it is first asked what there is to give; id is not
// sent. The whole payment on its calendar day is reversed, which the gateway does once and before midnight; everything
// else, and a reversal that it refuses, is a refund. What is unclear is ErrUnknown.
func (p *Provider) Refund(ctx context.Context, c payments.Connection, o payments.Order, _ string, amount payments.Money) error {
	seen, err := p.Look(ctx, c, o)
	if err != nil && !errors.Is(err, payments.ErrNothingNew) {
		return fmt.Errorf("arca: refund: %w", err)
	}
	if !amount.Valid() || !wire.Plain(seen.ProviderRef) || !returnable(seen, amount) {
		return fmt.Errorf("%w: arca: %s cannot be refunded", payments.ErrRefused, amount)
	}
	id := seen.ProviderRef
	if amount == seen.Captured && seen.Refunded.Minor == 0 && p.sameDay(seen.PaidAt) {
		refused, err := p.reverse(ctx, c, id)
		if !refused {
			return err
		}
		// It is not known why; only an order that is still paid may be asked again in another way.
		if seen, err = p.Look(ctx, c, o); err != nil || !returnable(seen, amount) {
			return fmt.Errorf("%w: arca: a refused reversal", payments.ErrUnknown)
		}
	}
	return p.give(ctx, c, id, amount)
}

// returnable says whether the order holds the amount.
func returnable(seen payments.Observation, amount payments.Money) bool {
	return seen.Status == state.AttemptPaid && !seen.Foreign && amount.Currency == seen.Captured.Currency &&
		amount.Minor <= seen.Captured.Minor-seen.Refunded.Minor
}

// sameDay says whether the payment can still be reversed.
func (p *Provider) sameDay(paid time.Time) bool {
	now := p.cfg.Now().In(yerevan)
	return !p.cfg.NoReversals && !paid.IsZero() && paid.In(yerevan).Format(time.DateOnly) == now.Format(time.DateOnly)
}

// reverse undoes the payment; refused says that the gateway answered and did not do it.
func (p *Provider) reverse(ctx context.Context, c payments.Connection, id string) (refused bool, err error) {
	reply, err := p.call(ctx, c, "reverse.do", url.Values{"orderId": {id}}, payments.ErrUnknown)
	if err != nil {
		return false, fmt.Errorf("arca: reverse: %w", err)
	}
	return reply.code() != success, nil
}

func (p *Provider) give(ctx context.Context, c payments.Connection, id string, amount payments.Money) error {
	reply, err := p.call(ctx, c, "refund.do", url.Values{"orderId": {id}, "amount": {strconv.FormatInt(amount.Minor, 10)}}, payments.ErrUnknown)
	if err != nil {
		return fmt.Errorf("arca: refund: %w", err)
	}
	switch code := reply.code(); code {
	case success:
		return nil
	case "3", "4", "5", "6": // a value, the right to refund, or the order
		return fmt.Errorf("%w: arca: refund: code %s", payments.ErrRefused, code)
	default: // 7 is "not in this state" and "system error" alike
		return fmt.Errorf("%w: arca: refund: code %s", payments.ErrUnknown, code)
	}
}
