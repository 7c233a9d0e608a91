package payments

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// Deal is what all invoices of one deal say together.
type Deal struct {
	ID        string
	Currency  string // of the deal, as its invoices say; empty without any
	OwnerID   string
	Balance   state.Balance
	Link      string // the newest that can be paid, or else the newest
	Reference string // the acquirer's, of the newest payment
	Invoices  []Invoice
}

// Money is an amount of the deal.
func (d Deal) Money(minor int64) Money { return Money{Minor: minor, Currency: d.Currency} }

// Overpaid is what came beyond all that was asked for, in minor units.
func (d Deal) Overpaid() int64 { return max(0, d.Balance.Paid-d.Balance.Refunded-d.Balance.Due) }

// Drifted compares the deal's amount in the CRM now with what it was when the newest link was made. ok is false when the
// two are the same, or nobody knows what it was.
func (d Deal) Drifted(now Money) (was Money, ok bool) {
	for _, in := range d.Invoices {
		if in.Status != state.Cancelled && in.DealMinor != nil {
			was = Money{Minor: *in.DealMinor, Currency: in.DealCurrency}
			return was, was != now
		}
	}
	return Money{}, false
}

// maxInvoices bounds what one deal shows.
const maxInvoices = 200

// DealOf reads what is owed and paid in a deal.
func (s *Service) DealOf(ctx context.Context, tx *tenants.Tx, dealID string) (Deal, error) {
	all, err := s.DealsOf(ctx, tx, []string{dealID})
	return all[dealID], err
}

// DealsOf reads what is owed and paid in each of these deals.
func (s *Service) DealsOf(ctx context.Context, tx *tenants.Tx, ids []string) (map[string]Deal, error) {
	invoices, err := tenants.Rows[Invoice](ctx, tx, `SELECT i.* FROM unnest($1::text[]) AS d(id) CROSS JOIN LATERAL
		(SELECT `+invoiceColumns+` FROM invoices WHERE deal_id = d.id ORDER BY id DESC LIMIT $2) i`, ids, maxInvoices)
	if err != nil {
		return nil, fmt.Errorf("read deals: %w", err)
	}
	byDeal := map[string][]Invoice{}
	for _, in := range invoices {
		byDeal[in.DealID] = append(byDeal[in.DealID], in)
	}
	deals := make(map[string]Deal, len(ids))
	shown := map[uuid.UUID]string{}
	for _, id := range ids {
		d, link := sum(id, byDeal[id])
		if deals[id] = d; link != uuid.Nil {
			shown[link] = id
		}
	}
	urls, err := s.urls(ctx, tx, slices.Collect(maps.Keys(shown)))
	for invoice, url := range urls {
		d := deals[shown[invoice]]
		d.Link = url
		deals[d.ID] = d
	}
	return deals, err
}

// sum adds up a deal's invoices, newest first, and says whose link the deal shows.
func sum(dealID string, invoices []Invoice) (Deal, uuid.UUID) {
	d := Deal{ID: dealID, Invoices: invoices}
	var all []state.InvoicePicture
	var newest time.Time
	var shown *Invoice
	for i, in := range invoices {
		claim := in.Claim()
		p := state.Picture{Status: in.Status, Paid: in.inDeal(in.Paid), Refunded: in.inDeal(in.Refunded), Outstanding: in.owed()}
		if in.PaidAt != nil {
			p.PaidAt = *in.PaidAt
		}
		if in.RefundedAt != nil {
			p.RefundedAt = *in.RefundedAt
		}
		if d.Currency == "" || claim.Currency == d.Currency {
			all = append(all, state.InvoicePicture{Amount: claim.Minor, Picture: p})
		}
		if in.Status != state.Cancelled || d.Currency == "" {
			d.Currency = claim.Currency
		}
		if p.PaidAt.After(newest) {
			newest, d.Reference = p.PaidAt, in.Reference
		}
		if shown == nil || (!payable(shown.Status) && payable(in.Status)) {
			shown, d.OwnerID = &invoices[i], in.OwnerID
		}
	}
	d.Balance = state.Sum(all)
	if shown == nil {
		return d, uuid.Nil
	}
	return d, shown.ID
}

func payable(status state.Status) bool {
	return status == state.AwaitingPayment || status == state.PaymentFailed
}

// Can lists what may be done with an invoice now by somebody in this role.
func (s *Service) Can(ctx context.Context, tx *tenants.Tx, in Invoice, role tenants.Role) ([]string, error) {
	p, err := s.soon(ctx, tx, in)
	if err != nil {
		return nil, err
	}
	var can []string
	if in.LockedAt == nil && in.Status == state.AwaitingPayment {
		can = append(can, "edit")
	}
	for _, c := range []state.Command{state.Send, state.Cancel, state.Refund, state.Record} {
		allowed := role.Allows(tenants.Manager)
		switch c {
		case state.Refund:
			allowed = role.Allows(tenants.Admin)
		case state.Record:
			allowed = role.Allows(tenants.Accountant)
		}
		if answer, err := state.Decide(p, c); err == nil && answer == state.Do && allowed {
			can = append(can, string(c))
		}
	}
	if len(p.Attempts) > 0 {
		can = append(can, "check")
	}
	if answer, err := state.Decide(p, state.Cancel); err == nil && answer == state.Do && role.Allows(tenants.Manager) {
		can = append(can, "replace")
	}
	if (p.Paid > 0 || p.Refunded > 0) && role.Allows(tenants.Accountant) {
		can = append(can, "receipt")
	}
	return can, nil
}
