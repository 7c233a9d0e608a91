package telcell

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

// check asks for an invoice by its number, the order, or both (Shop gateway, "Status request").
func (p *Provider) check(ctx context.Context, c payments.Connection, o payments.Order) (bill, error) {
	form, values := url.Values{}, []string{c.Credentials["issuer"]}
	if number.MatchString(o.ProviderRef) {
		form.Set("invoice", o.ProviderRef)
		values = append(values, o.ProviderRef)
	} else if p.cfg.NeedsInvoice || !wire.Plain(o.Reference) {
		return bill{}, fmt.Errorf("%w: the invoice's number is not known", payments.ErrNothingNew)
	}
	if wire.Plain(o.Reference) {
		form.Set("issuer_id", encoded(o.Reference))
		values = append(values, encoded(o.Reference))
	}
	reply, err := p.call(ctx, c, "check_bill", form, payments.ErrUnavailable, values...)
	if err != nil {
		return bill{}, err
	}
	b, ok := parseBill(reply, p.cfg.RefundedLine)
	if !ok && strings.Contains(reply, "=") && !strings.Contains(reply, "checksum=") { // a cut answer does not say that there is no invoice
		return bill{}, fmt.Errorf("%w: the answer is cut", payments.ErrUnavailable)
	}
	if !ok {
		return bill{}, p.refusal(reply, payments.ErrNothingNew)
	}
	return b, nil
}

// Look asks for the invoice. A cancelled one that had been paid is paid with everything back; where its answer has no
// time of payment it is cancelled, with everything back if it had been paid before.
func (p *Provider) Look(ctx context.Context, c payments.Connection, o payments.Order) (payments.Observation, error) {
	b, err := p.check(ctx, c, o)
	if err != nil {
		return payments.Observation{}, fmt.Errorf("telcell: look: %w", err)
	}
	obs := payments.Observation{Reference: b.reference, ProviderRef: b.invoice, Code: word(b.status), Raw: b.redacted()}
	status, known := p.cfg.Statuses[b.status]
	if o.ProviderRef == "" && status != state.AttemptPaid {
		obs.ProviderRef = "" // a form that is posted twice makes two invoices; only the paid one is to be remembered
	}
	if !known {
		return obs, fmt.Errorf("%w: telcell: status %q", payments.ErrUnclear, obs.Code)
	}
	if (status == state.AttemptPaid || status == state.AttemptCancelled) && (!b.money || b.sum.Minor == 0 || b.refunded > b.sum.Minor) {
		return obs, fmt.Errorf("%w: telcell: %s, but the sums make no sense", payments.ErrUnclear, obs.Code)
	}
	obs.Foreign = (o.ProviderRef != "" && b.invoice != o.ProviderRef) || (o.Reference != "" && b.reference != o.Reference)
	obs.Status, obs.PaidAt = status, b.paid
	none := payments.Money{Currency: b.sum.Currency}
	switch {
	case b.status == partly:
		obs.Captured = none
	case status == state.AttemptPaid:
		obs.Captured, obs.Refunded = b.sum, payments.Money{Minor: b.refunded, Currency: b.sum.Currency}
	case status == state.AttemptCancelled:
		obs.Refunded = b.sum
		if !b.paid.IsZero() {
			obs.Status, obs.Captured = state.AttemptPaid, b.sum
		}
	}
	return obs, nil
}
