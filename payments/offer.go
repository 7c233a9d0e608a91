package payments

import (
	"context"
	"slices"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// GiveBack is how much of an invoice's money can go back at once, and how.
type GiveBack struct {
	Most     Money
	Acquirer string         // that holds it
	Methods  []RefundMethod // ByAPI, or what its acquirer leaves to people
	Partial  bool           // by ByAPI
	Limit    *int64         // above it a second person is asked; less what went back lately; nil without one
	Open     bool           // a refund of this payment is under way
}

// GiveBackOf says what a refund of this invoice could be: of the payment that holds most. Error: ErrNotFound when no
// acquirer holds anything for it, such as money that was received outside.
func (s *Service) GiveBackOf(ctx context.Context, tx *tenants.Tx, in Invoice) (GiveBack, error) {
	p, _, err := picture(ctx, tx, in)
	if err != nil {
		return GiveBack{}, err
	}
	var from state.AttemptPicture
	var most int64
	for _, a := range p.Attempts {
		if held := a.Captured.Minor - a.Refunded - a.Moved; a.Status == state.AttemptPaid && !a.NotOurs && held >= most && held > 0 {
			from, most = a, held
		}
	}
	if most == 0 {
		return GiveBack{}, ErrNotFound
	}
	g := GiveBack{Most: Money{Minor: most, Currency: from.Captured.Currency}}
	if g.Acquirer, g.Methods, g.Partial, err = s.waysBack(ctx, tx, uuid.MustParse(from.ID)); err != nil {
		return g, err
	}
	g.Open = s.free(ctx, tx, uuid.MustParse(from.ID)) != nil
	left, limited, err := s.unseconded(ctx, tx, in.ID, g.Most.Currency)
	if limited {
		g.Limit = &left
	}
	return g, err
}

// waysBack are the ways in which money of an attempt can go back: by its acquirer, and by people where it cannot or
// would not.
func (s *Service) waysBack(ctx context.Context, tx *tenants.Tx, id uuid.UUID) (acquirer string, ways []RefundMethod, partial bool, err error) {
	row, err := attempt(ctx, tx, id)
	if err != nil {
		return "", nil, false, err
	}
	d, err := s.allowed(ctx, tx, row)
	if err != nil {
		return row.Acquirer, nil, false, err
	}
	var refused bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM refunds WHERE attempt_id = $1 AND method = 'api' AND status = 'refused' AND sent_at IS NOT NULL)`,
		id).Scan(&refused); err != nil {
		return row.Acquirer, nil, false, err
	}
	if d.Refunds {
		ways = append(ways, ByAPI)
	}
	if !d.Refunds || !d.Partial || refused {
		ways = append(ways, ByTransfer, ByCash)
	}
	return row.Acquirer, ways, d.Refunds && d.Partial, nil
}

// Offer divides the decisions about an exception into those that this role may make and those that it may not. Ways of
// giving money back that its acquirer does not have, or that are not open to people, are in neither.
func (s *Service) Offer(ctx context.Context, tx *tenants.Tx, e Exception, role tenants.Role) (mine, others []string, err error) {
	ways := []RefundMethod{ByAPI, ByTransfer}
	if e.AttemptID != nil && slices.Contains(e.Decisions(), "refund") {
		if _, ways, _, err = s.waysBack(ctx, tx, *e.AttemptID); err != nil {
			return nil, nil, err
		}
	}
	mine, others = []string{}, []string{}
	for _, d := range e.Decisions() {
		switch {
		case d == "refund" && !slices.Contains(ways, ByAPI), d == "refund_outside" && !slices.Contains(ways, ByTransfer):
		case role.Allows(needed(d)):
			mine = append(mine, d)
		default:
			others = append(others, d)
		}
	}
	return mine, others, nil
}
