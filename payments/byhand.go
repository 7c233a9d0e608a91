package payments

import (
	"context"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// Act is what a person said about money and may take back by a counter-entry: a decision about a review, money moved to
// another invoice or, where it named none, to this one, a payment received outside, or a refund made outside.
type Act struct {
	N             int64          `db:"n"` // in the order of all facts
	Kind          state.FactKind `db:"kind"`
	Decision      state.Decision `db:"decision"`
	Ref           string         `db:"ref"` // of the decision, the move, the payment or the refund
	At            time.Time      `db:"at"`
	Minor         int64          `db:"minor"`
	Currency      string         `db:"currency"`
	Evidence      evidence       `db:"evidence"`
	InvoiceID     uuid.UUID      `db:"invoice_id"`
	InvoiceNumber string         `db:"number"`
	DealID        string         `db:"deal_id"`
	Undone        bool           `db:"undone"`
}

// Undoer is the role that may take it back.
func (a Act) Undoer() tenants.Role {
	switch a.Kind {
	case state.MovedOut, state.MovedIn:
		return needed("undo_move")
	case state.GivenBack:
		return tenants.Admin
	case state.Received:
		return tenants.Accountant
	}
	return needed(string(a.Decision))
}

// Acts lists what persons said about money over all invoices, the newest first, from before the given one on when it is not 0.
func Acts(ctx context.Context, tx *tenants.Tx, before int64, limit int) ([]Act, error) {
	return tenants.Rows[Act](ctx, tx, `SELECT f.id AS n, f.kind, f.decision, CASE WHEN f.ref = '' THEN f.attempt_id::text ELSE f.ref END AS ref, f.at,
			coalesce(p.minor, f.minor) AS minor, coalesce(p.currency, f.currency) AS currency, f.evidence, i.id AS invoice_id, i.number, i.deal_id,
			EXISTS (SELECT FROM facts u WHERE u.invoice_id = f.invoice_id AND u.kind IN ('unresolved', 'move_undone', 'reversed', 'given_back_undone') AND u.ref = f.ref
				AND (f.ref <> '' OR u.attempt_id = f.attempt_id)) AS undone
		FROM facts f JOIN invoices i ON i.tenant_id = f.tenant_id AND i.id = f.invoice_id
		LEFT JOIN LATERAL (SELECT minor, currency FROM facts p WHERE f.kind = 'resolved' AND p.invoice_id = f.invoice_id AND p.attempt_id = f.attempt_id
			AND p.kind = 'observed' AND p.status = 'paid' ORDER BY p.id DESC LIMIT 1) p ON true
		WHERE (f.kind IN ('resolved', 'moved_out', 'received', 'given_back') OR (f.kind = 'moved_in' AND f.evidence->>'orphan' IS NOT NULL))
			AND ($1 = 0 OR f.id < $1) ORDER BY f.id DESC LIMIT $2`, before, limit)
}
