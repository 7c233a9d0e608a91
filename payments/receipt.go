package payments

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// Receipt is a fiscal receipt as a person, or a cash register's program, noted it. Several lines with one number are one
// receipt: the newest counts.
type Receipt struct {
	InvoiceID uuid.UUID     `db:"invoice_id"`
	Payment   uuid.UUID     `db:"payment"` // the attempt, or the payment that a person recorded
	Number    string        `db:"number"`
	Kind      string        `db:"kind"`  // advance, final, refund
	State     string        `db:"state"` // pending, issued, failed, void
	Reason    string        `db:"reason"`
	NotedBy   tenants.Actor `db:"noted_by"`
	NotedAt   time.Time     `db:"noted_at"`
}

// NewReceipt is what NoteReceipt needs. An empty payment is the invoice's newest one.
type NewReceipt struct {
	Payment             string
	Number, Kind, State string
	Reason              string // needed for failed and void
}

func (r NewReceipt) check() error {
	switch {
	case strings.TrimSpace(r.Number) == "" || !fit(r.Number, 100):
		return invalid("number_unusable", "Give the receipt's number.")
	case !slices.Contains([]string{"advance", "final", "refund"}, r.Kind):
		return invalid("kind_unknown", "The type must be advance, final or refund.")
	case !slices.Contains([]string{"pending", "issued", "failed", "void"}, r.State):
		return invalid("state_unknown", "The state must be pending, issued, failed or void.")
	case r.State == "failed" || r.State == "void" || r.Reason != "":
		return because(r.Reason, "Say why the receipt does not count.")
	}
	return nil
}

// NoteReceipt notes a fiscal receipt on a payment; noting its number again corrects it. Errors: ErrNotFound, ErrRole, Invalid.
func (s *Service) NoteReceipt(ctx context.Context, id tenants.ID, by By, invoice uuid.UUID, r NewReceipt) (Invoice, error) {
	if !by.Role.Allows(tenants.Accountant) {
		return Invoice{}, ErrRole
	}
	if err := r.check(); err != nil {
		return Invoice{}, err
	}
	return s.change(ctx, id, invoice, func(ctx context.Context, tx *tenants.Tx, in Invoice) error {
		payment, err := paymentOf(ctx, tx, in, r.Payment)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO fiscal_receipts (tenant_id, id, invoice_id, payment, number, kind, state, reason, noted_by, noted_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, tx.Tenant().String(), tenants.NewUUID(), invoice, payment, r.Number, r.Kind, r.State,
			r.Reason, string(by.Actor), s.Now()); err != nil {
			return fmt.Errorf("note receipt: %w", err)
		}
		return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "receipt." + r.State, DealID: in.DealID, Invoice: &in.ID,
			Before: string(in.Status), After: string(in.Status)},
			map[string]string{"number": r.Number, "kind": r.Kind, "payment": payment.String(), "reason": r.Reason})
	})
}

// paymentOf finds a payment of the invoice by its id, or the newest one. Error: Invalid.
func paymentOf(ctx context.Context, tx *tenants.Tx, in Invoice, name string) (uuid.UUID, error) {
	all, err := tenants.Rows[Unreceipted](ctx, tx, paidSQL+` AND i.id = $1 ORDER BY p.at DESC`, in.ID)
	if err != nil {
		return uuid.Nil, err
	}
	for _, p := range all {
		if name == "" || p.Payment.String() == name {
			return p.Payment, nil
		}
	}
	return uuid.Nil, invalid("payment_unknown", "The invoice has no such payment.")
}

// Receipts lists the receipts of these invoices as they stand, in the order they were first noted.
func Receipts(ctx context.Context, tx *tenants.Tx, invoices ...uuid.UUID) ([]Receipt, error) {
	return tenants.Rows[Receipt](ctx, tx, `SELECT invoice_id, payment, number, kind, state, reason, noted_by, noted_at FROM (
		SELECT *, row_number() OVER (PARTITION BY payment, number ORDER BY n DESC) AS newest, min(n) OVER (PARTITION BY payment, number) AS first
		FROM fiscal_receipts WHERE invoice_id = ANY($1)) r WHERE newest = 1 ORDER BY first`, invoices)
}

// Unreceipted is a payment that no fiscal receipt was noted for.
type Unreceipted struct {
	Payment   uuid.UUID `db:"payment"`
	InvoiceID uuid.UUID `db:"invoice_id"`
	Number    string    `db:"number"` // of the invoice
	DealID    string    `db:"deal_id"`
	Minor     int64     `db:"minor"`
	Currency  string    `db:"currency"`
	PaidAt    time.Time `db:"at"`
}

// paidSQL lists the payments: by an acquirer, or recorded by a person and not undone.
const paidSQL = `SELECT p.payment, i.id AS invoice_id, i.number, i.deal_id, p.minor, p.currency, p.at FROM (
		SELECT f.attempt_id AS payment, f.tenant_id, f.invoice_id, max(f.minor) AS minor, max(f.currency) AS currency, min(f.at) AS at
		FROM facts f WHERE f.kind = '` + string(state.Observed) + `' AND f.status = '` + string(state.AttemptPaid) + `' GROUP BY f.attempt_id, f.tenant_id, f.invoice_id
		UNION ALL
		SELECT f.ref::uuid, f.tenant_id, f.invoice_id, f.minor, f.currency, f.at FROM facts f WHERE f.kind = '` + string(state.Received) + `'
			AND NOT EXISTS (SELECT FROM facts u WHERE u.kind = '` + string(state.Reversed) + `' AND u.ref = f.ref AND u.invoice_id = f.invoice_id)
	) p JOIN invoices i ON i.tenant_id = p.tenant_id AND i.id = p.invoice_id WHERE true`

// WithoutReceipt lists what is paid and has no receipt that is issued or on its way, the oldest first. after is the last
// payment of the page before.
func WithoutReceipt(ctx context.Context, tx *tenants.Tx, after uuid.UUID, limit int) ([]Unreceipted, error) {
	return tenants.Rows[Unreceipted](ctx, tx, paidSQL+` AND ($1 = '00000000-0000-0000-0000-000000000000'::uuid OR p.payment > $1)
		AND NOT EXISTS (SELECT FROM (SELECT DISTINCT ON (r.number) r.kind, r.state FROM fiscal_receipts r WHERE r.payment = p.payment ORDER BY r.number, r.n DESC) r
			WHERE r.state IN ('pending', 'issued') AND r.kind <> 'refund')
		ORDER BY p.payment LIMIT $2`, after, limit)
}
