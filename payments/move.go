package payments

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
)

// stays is what an attempt still holds for its invoice: not given back, not moved elsewhere. Error: ErrState when nothing.
func stays(ctx context.Context, tx *tenants.Tx, in Invoice, attempt uuid.UUID) (Money, error) {
	p, _, err := picture(ctx, tx, in)
	if err != nil {
		return Money{}, err
	}
	for _, a := range p.Attempts {
		if left := a.Captured.Minor - a.Refunded - a.Moved; a.ID == attempt.String() && !a.NotOurs && left > 0 {
			return Money{Minor: left, Currency: a.Captured.Currency}, nil
		}
	}
	return Money{}, fmt.Errorf("%w: the payment holds nothing any more", ErrState)
}

// target finds an invoice by its id or number. Error: ErrNotFound.
func target(ctx context.Context, tx *tenants.Tx, name string) (Invoice, error) {
	name = strings.TrimSpace(name)
	if id, err := uuid.Parse(name); err == nil {
		return Get(ctx, tx, id)
	}
	return one(tenants.Row[Invoice](ctx, tx, `SELECT `+invoiceColumns+` FROM invoices WHERE number = $1`, strings.ToUpper(name)))
}

// moveReview resolves a review by letting its money count for another invoice, also of another deal: one fact on each,
// which together are the counter-entry. Errors: Invalid, ErrState.
func (s *Service) moveReview(ctx context.Context, tx *tenants.Tx, by By, e Exception, c Choice) error {
	name := c.Invoice
	if name == "" {
		name = c.Reference
	}
	to, err := target(ctx, tx, name)
	if errors.Is(err, ErrNotFound) || to.ID == *e.InvoiceID {
		return invalid("invoice_unknown", "Name the number of the other invoice that the money is for.")
	}
	if err != nil {
		return err
	}
	from, to, err := lockBoth(ctx, tx, *e.InvoiceID, to.ID)
	if err != nil {
		return err
	}
	amount, err := stays(ctx, tx, from, *e.AttemptID)
	if err != nil {
		return err
	}
	if err := s.moveMoney(ctx, tx, by, from, to, *e.AttemptID, amount, c.Reason); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE exceptions SET decision = $2 WHERE id = $1`, e.ID, c.Decision)
	return err
}

// moveMoney lets what an attempt holds for one invoice count for another. The caller holds both locks. Errors: Invalid, ErrState.
func (s *Service) moveMoney(ctx context.Context, tx *tenants.Tx, by By, from, to Invoice, attempt uuid.UUID, amount Money, reason string) error {
	if err := s.free(ctx, tx, attempt); err != nil {
		return err
	}
	if err := accepts(ctx, tx, to, amount); err != nil {
		return err
	}
	ref := tenants.NewUUID().String()
	why := evidence{Source: "person", Reason: reason, Reference: to.Number}
	if err := s.record(ctx, tx, from, by.Actor, "payment.moved", finding{
		state.Fact{Kind: state.MovedOut, At: s.Now(), Attempt: attempt.String(), Ref: ref, Amount: amount}, why}); err != nil {
		return err
	}
	if err := s.seal(ctx, tx, to); err != nil {
		return err
	}
	why.Reference = from.Number
	return s.record(ctx, tx, to, by.Actor, "payment.moved_here", finding{
		state.Fact{Kind: state.MovedIn, At: s.Now(), Ref: ref, Amount: amount}, why})
}

// moveGone lets everything that was paid for a deal that is gone count for an invoice of the deal that took its place; the
// links of what was emptied are withdrawn. Errors: Invalid, ErrState.
func (s *Service) moveGone(ctx context.Context, tx *tenants.Tx, by By, e Exception, c Choice) error {
	to, err := target(ctx, tx, cmp.Or(c.Invoice, c.Reference))
	if errors.Is(err, ErrNotFound) || (err == nil && to.DealID == e.DealID) {
		return invalid("invoice_unknown", "Name the number of an invoice of another deal that the money is for.")
	}
	if err != nil {
		return err
	}
	held, err := tenants.Rows[Invoice](ctx, tx, `SELECT `+invoiceColumns+` FROM invoices WHERE deal_id = $1 OR id = $2 ORDER BY id FOR UPDATE`, e.DealID, to.ID)
	if err != nil {
		return err
	}
	moved := false
	for _, from := range held {
		if from.ID == to.ID {
			continue
		}
		some, err := s.empty(ctx, tx, by, from, to, c.Reason)
		if err != nil {
			return err
		}
		moved = moved || some
	}
	if !moved {
		return fmt.Errorf("%w: nothing was paid through an acquirer for this deal", ErrState)
	}
	outbox.Drop(tx, outbox.Push, e.DealID, s.Now()) // there is nothing to write to
	return nil
}

// empty moves all that an invoice's payments hold, and withdraws its link, which would ask for the money again.
func (s *Service) empty(ctx context.Context, tx *tenants.Tx, by By, from, to Invoice, reason string) (moved bool, err error) {
	p, _, err := picture(ctx, tx, from)
	if err != nil {
		return false, err
	}
	for _, a := range p.Attempts {
		left := a.Captured.Minor - a.Refunded - a.Moved
		if a.Status != state.AttemptPaid || a.NotOurs || left <= 0 {
			continue
		}
		if err := s.moveMoney(ctx, tx, by, from, to, uuid.MustParse(a.ID), Money{Minor: left, Currency: a.Captured.Currency}, reason); err != nil {
			return false, err
		}
		moved = true
	}
	if from, err = Get(ctx, tx, from.ID); err != nil || !moved || !payable(from.Status) {
		return moved, err
	}
	return moved, s.withdraw(ctx, tx, from, by, "invoice.cancelled", evidence{Source: "person", Reason: reason})
}

// accepts refuses an invoice that this money cannot pay.
func accepts(ctx context.Context, tx *tenants.Tx, to Invoice, amount Money) error {
	p, _, err := picture(ctx, tx, to)
	if err != nil {
		return err
	}
	if _, err := state.Decide(p, state.Record); err != nil {
		return invalid("invoice_not_open", "Invoice %s takes no money now.", to.Number)
	}
	switch {
	case amount.Currency != to.Currency:
		return invalid("currency_mixed", "Invoice %s is in %s.", to.Number, to.Currency)
	case amount.Minor > p.Outstanding:
		return invalid("amount_too_large", "Only %s is outstanding on invoice %s.", Money{Minor: p.Outstanding, Currency: to.Currency}, to.Number)
	}
	return nil
}

// lockBoth locks two invoices in the order of their ids, so that two moves the other way round cannot block each other.
func lockBoth(ctx context.Context, tx *tenants.Tx, from, to uuid.UUID) (a, b Invoice, err error) {
	if bytes.Compare(from[:], to[:]) > 0 {
		if b, err = lock(ctx, tx, to); err != nil {
			return a, b, err
		}
		a, err = lock(ctx, tx, from)
		return a, b, err
	}
	if a, err = lock(ctx, tx, from); err != nil {
		return a, b, err
	}
	b, err = lock(ctx, tx, to)
	return a, b, err
}

// free refuses to touch a payment while a refund of it is under way.
func (s *Service) free(ctx context.Context, tx *tenants.Tx, attempt uuid.UUID) error {
	var open bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM refunds WHERE attempt_id = $1 AND status IN ('waiting', 'requested', 'sending', 'unknown'))`,
		attempt).Scan(&open)
	if err == nil && open {
		err = fmt.Errorf("%w: a refund of this payment is under way", ErrState)
	}
	return err
}

// UndoMove takes a move back, by a counter-entry on both invoices. It returns the invoice that the money came from,
// or, where an orphan came, the one that it leaves.
// Errors: ErrNotFound, ErrRole, ErrState (it was taken back already), Invalid.
func (s *Service) UndoMove(ctx context.Context, id tenants.ID, by By, ref uuid.UUID, reason string) (Invoice, error) {
	if !by.Role.Allows(tenants.Admin) {
		return Invoice{}, ErrRole
	}
	if err := because(reason, "Say why the money goes back to where it came from."); err != nil {
		return Invoice{}, err
	}
	var from Invoice
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		from, err = s.undoMove(ctx, tx, by, ref.String(), reason)
		return err
	})
	return from, err
}

func (s *Service) undoMove(ctx context.Context, tx *tenants.Tx, by By, ref, reason string) (Invoice, error) {
	sides, err := tenants.Rows[struct {
		Kind    state.FactKind `db:"kind"`
		Invoice uuid.UUID      `db:"invoice_id"`
	}](ctx, tx, `SELECT kind, invoice_id FROM facts WHERE ref = $1 AND kind IN ('moved_out', 'moved_in') ORDER BY kind DESC`, ref)
	if err != nil {
		return Invoice{}, err
	}
	switch {
	case len(sides) == 1 && sides[0].Kind == state.MovedIn:
		return s.returnOrphan(ctx, tx, by, sides[0].Invoice, ref, reason)
	case len(sides) != 2:
		return Invoice{}, ErrNotFound
	}
	from, to, err := lockBoth(ctx, tx, sides[0].Invoice, sides[1].Invoice)
	if err != nil {
		return from, err
	}
	var undone bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM facts WHERE invoice_id = $1 AND kind = 'move_undone' AND ref = $2)`, from.ID, ref).Scan(&undone); err != nil {
		return from, err
	}
	if undone {
		return from, ErrState
	}
	for _, in := range []Invoice{from, to} {
		if err := s.record(ctx, tx, in, by.Actor, "payment.move_undone", finding{
			state.Fact{Kind: state.MoveUndone, At: s.Now(), Ref: ref}, evidence{Source: "person", Reason: reason}}); err != nil {
			return from, err
		}
	}
	return Get(ctx, tx, from.ID)
}

// undoMovesOf takes back every move of the money under review.
func (s *Service) undoMovesOf(ctx context.Context, tx *tenants.Tx, by By, e Exception, reason string) error {
	refs, err := tenants.Rows[struct {
		Ref string `db:"ref"`
	}](ctx, tx, `SELECT o.ref FROM facts o WHERE o.kind = 'moved_out' AND o.attempt_id = $1
		AND NOT EXISTS (SELECT FROM facts u WHERE u.invoice_id = o.invoice_id AND u.kind = 'move_undone' AND u.ref = o.ref)`, e.AttemptID)
	for _, r := range refs {
		if err == nil {
			_, err = s.undoMove(ctx, tx, by, r.Ref, reason)
		}
	}
	if err == nil {
		_, err = tx.Exec(ctx, `UPDATE exceptions SET decision = 'undo_move' WHERE id = $1`, e.ID)
	}
	return err
}

// MoveDeals are the deals that a move was between. Error: ErrNotFound.
func MoveDeals(ctx context.Context, tx *tenants.Tx, ref uuid.UUID) ([]string, error) {
	rows, err := tenants.Rows[struct {
		Deal string `db:"deal_id"`
	}](ctx, tx, `SELECT i.deal_id FROM facts f JOIN invoices i ON i.tenant_id = f.tenant_id AND i.id = f.invoice_id
		WHERE f.ref = $1 AND f.kind IN ('moved_out', 'moved_in')`, ref.String())
	if err == nil && len(rows) == 0 {
		err = ErrNotFound
	}
	var deals []string
	for _, r := range rows {
		deals = append(deals, r.Deal)
	}
	return deals, err
}
