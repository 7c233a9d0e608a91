package ameria

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
)

// Refund gives money back. The bank takes no idempotency key, so id is not sent; what is unclear is ErrUnknown. A whole
// payment is cancelled on its day (the bank does that within 72 hours of InitPayment), and where the merchant has no right
// to refund; everything else, and what the bank will not cancel, is a refund.
func (p *Provider) Refund(ctx context.Context, c payments.Connection, o payments.Order, _ string, amount payments.Money) error {
	if !amount.Valid() || o.ProviderRef == "" {
		return fmt.Errorf("%w: ameria: %s cannot be refunded", payments.ErrRefused, amount)
	}
	untouched := func() (payments.Observation, bool) {
		seen, err := p.Look(ctx, c, o)
		return seen, err == nil && seen.Status == state.AttemptPaid && !seen.Foreign && seen.Captured == amount && seen.Refunded.Minor == 0
	}
	seen, whole := untouched()
	today := whole && p.sameDay(seen.PaidAt)
	if today {
		err := p.back(ctx, c, "CancelPayment", o.ProviderRef, nil)
		if !errors.Is(err, payments.ErrRefused) {
			return err
		}
		// Why is only in a text; what is not as it was may not be asked again in another way.
		if _, still := untouched(); !still {
			return fmt.Errorf("%w: ameria: a refused cancellation: %w", payments.ErrUnknown, errors.New(err.Error()))
		}
	}
	err := p.back(ctx, c, "RefundPayment", o.ProviderRef, &amount)
	if !whole || today || !errors.Is(err, payments.ErrNoRefunds) {
		return err
	}
	if cancelled := p.back(ctx, c, "CancelPayment", o.ProviderRef, nil); !errors.Is(cancelled, payments.ErrRefused) {
		return cancelled
	} else if errors.Is(cancelled, payments.ErrNoReversals) {
		err = errors.Join(err, cancelled)
	}
	return err
}

// sameDay says whether a payment was made on this day. The bank's time is only shown otherwise: here it costs one refused
// question when it is wrong.
func (p *Provider) sameDay(paid time.Time) bool {
	return !paid.IsZero() && paid.In(yerevan).Format(time.DateOnly) == p.cfg.Now().In(yerevan).Format(time.DateOnly)
}

// back asks once for money to go back: all of it when amount is nil.
func (p *Provider) back(ctx context.Context, c payments.Connection, operation, id string, amount *payments.Money) error {
	in := struct {
		PaymentID, Username, Password string
		Amount                        string `json:",omitempty"`
	}{PaymentID: id, Username: c.Credentials["username"], Password: c.Credentials["password"]}
	if amount != nil {
		in.Amount = amount.Decimal()
	}
	reply, err := p.call(ctx, c, operation, in, payments.ErrUnknown)
	if err != nil {
		return fmt.Errorf("ameria: %s: %w", operation, err)
	}
	code := reply.Code("ResponseCode")
	switch code {
	case "00":
		return nil
	case "04", "05", "06", "07", "30", "50", "510":
		err = payments.ErrRefused
	case "513":
		err = payments.ErrNoRefunds
	case "514":
		err = payments.ErrNoReversals
	case "20":
		err = payments.ErrCredentials
	default: // also 550, which is a wrong password or anything
		err = payments.ErrUnknown
	}
	return fmt.Errorf("%w: ameria: %s: code %s", err, operation, code)
}
