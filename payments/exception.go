package payments

import (
	"context"
	"fmt"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
)

// Kinds of exceptions beside the reviews of payments/state.
const (
	Orphan        = "orphan"         // money at the acquirer without an invoice of ours
	RefundUnknown = "refund_unknown" // a refund whose outcome the acquirer does not tell
	SyncFailed    = "sync_failed"    // the CRM could not be brought up to date for 15 minutes, or refuses
	DealGone      = "deal_gone"      // the deal was deleted or merged in the CRM
	DealMoved     = "deal_moved"     // the deal was moved to a pipeline in which nothing is mapped
	Overwritten   = "overwritten"    // something in the CRM overwrites our fields again and again
	CRMBlocked    = "crm_blocked"    // the CRM shut us out
	CRMRevoked    = "crm_revoked"    // we have no access to the CRM any more
	// AccessRefused is that an acquirer does not take the tenant's credentials any more, so nobody can pay or be asked there.
	AccessRefused = "credentials_refused"
	// RefundApproval is a refund above the tenant's limit, which a second person must approve.
	RefundApproval = "refund_approval"
	// SentBack is money that our answer made the acquirer give back: nobody wanted it as it came.
	SentBack = "payment_sent_back"
)

// Exception is what needs a person.
type Exception struct {
	ID        uuid.UUID  `db:"id"`
	Kind      string     `db:"kind"`
	Key       string     `db:"key"` // one open exception for each
	DealID    string     `db:"deal_id"`
	InvoiceID *uuid.UUID `db:"invoice_id"`
	AttemptID *uuid.UUID `db:"attempt_id"`
	Minor     int64      `db:"minor"`
	Currency  string     `db:"currency"`
	Reference string     `db:"reference"`
	OpenedAt  time.Time  `db:"opened_at"`
	ClosedAt  *time.Time `db:"closed_at"`
	Decision  string     `db:"decision"`
}

const exceptionColumns = `id, kind, key, deal_id, invoice_id, attempt_id, minor, currency, reference, opened_at, closed_at, decision`

// silent says whether an exception of this kind has no task in the CRM: it could not be written there, or is nothing that
// the deal's owner can do.
func silent(kind string) bool {
	switch kind {
	case SyncFailed, DealGone, DealMoved, Overwritten, CRMBlocked, CRMRevoked, AccessRefused, RefundApproval:
		return true
	}
	return false
}

// Decisions are what a person may choose, by kind. Refunding is offered only where the acquirer can.
func (e Exception) Decisions() []string {
	switch e.Kind {
	case string(state.WrongAmount):
		return []string{"accept", "write_off", "refund", "refund_outside", "move"}
	case string(state.WrongCurrency):
		return []string{"write_off", "refund", "refund_outside", "move"}
	case string(state.WrongMerchant):
		return []string{"accept", "not_ours"}
	case string(state.SecondPayment), string(state.PaidAfterCancel), string(state.PaidAfterExpiry):
		return []string{"accept", "refund", "refund_outside", "move"}
	case string(state.RefundAfterMove):
		return []string{"undo_move"}
	case Orphan:
		return []string{"move", "refund_outside", "dismiss"}
	case DealGone:
		return []string{"move", "dismiss"}
	case RefundApproval:
		return []string{"approve", "reject"}
	case RefundFailed:
		return []string{"refund", "refund_outside", "dismiss"}
	case RefundUnknown:
		return []string{"refunded", "not_refunded"}
	case SyncFailed, DealMoved, Overwritten:
		return []string{"retry", "dismiss"}
	}
	return []string{"dismiss"}
}

// Raise opens an exception unless one with this key is open, and plans its task for the deal's owner. A failed sync has
// no task: it could not be written.
func Raise(ctx context.Context, tx *tenants.Tx, e Exception, number string) error {
	e.ID = tenants.NewUUID()
	tag, err := tx.Exec(ctx, `INSERT INTO exceptions (tenant_id, id, kind, key, deal_id, invoice_id, attempt_id, minor, currency, reference, opened_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (tenant_id, key) WHERE closed_at IS NULL DO NOTHING`,
		tx.Tenant().String(), e.ID, e.Kind, e.Key, e.DealID, e.InvoiceID, e.AttemptID, e.Minor, e.Currency, e.Reference, e.OpenedAt)
	if err != nil {
		return fmt.Errorf("raise %s: %w", e.Kind, err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	if err := tx.Audit(ctx, tenants.Entry{At: e.OpenedAt, Actor: tenants.Timer, Action: "exception.opened", DealID: e.DealID, Invoice: e.InvoiceID,
		After: e.Kind}, map[string]any{"exception": e.ID, "reference": e.Reference}); err != nil {
		return err
	}
	if e.DealID == "" || silent(e.Kind) {
		return nil
	}
	outbox.Plan(tx, outbox.Task, "task:"+e.ID.String(), e.DealID, outbox.Telling{What: e.Kind, Invoice: number,
		Minor: e.Minor, Currency: e.Currency, Reference: e.Reference, At: e.OpenedAt})
	outbox.Promise(tx, outbox.Push, e.OpenedAt, e.DealID)
	return nil
}

// Settle closes the open exception with this key, if there is one, and plans the closing of its task.
func Settle(ctx context.Context, tx *tenants.Tx, key string, by tenants.Actor, decision string, now time.Time) error {
	return SettleAll(ctx, tx, []string{key}, by, decision, now)
}

// SettleAll is Settle for many keys.
func SettleAll(ctx context.Context, tx *tenants.Tx, keys []string, by tenants.Actor, decision string, now time.Time) error {
	if len(keys) == 0 {
		return nil
	}
	closed, err := tenants.Rows[Exception](ctx, tx, `UPDATE exceptions SET closed_at = $2, closed_by = $3, decision = $4
		WHERE key = ANY($1) AND closed_at IS NULL RETURNING `+exceptionColumns, keys, now, string(by), decision)
	if err != nil {
		return fmt.Errorf("settle exception: %w", err)
	}
	for _, e := range closed {
		if err := tx.Audit(ctx, tenants.Entry{At: now, Actor: by, Action: "exception.closed", DealID: e.DealID, Invoice: e.InvoiceID,
			Before: e.Kind}, map[string]any{"exception": e.ID, "decision": decision}); err != nil {
			return err
		}
		if e.DealID == "" || silent(e.Kind) {
			continue
		}
		task := "task:" + e.ID.String()
		outbox.Plan(tx, outbox.CloseTask, "close:"+task, e.DealID, outbox.Telling{What: "closed", Of: task, At: now})
		outbox.Promise(tx, outbox.Push, now, e.DealID)
	}
	return nil
}

// ExceptionDeal is the deal of an exception, open or closed. Error: ErrNotFound.
func ExceptionDeal(ctx context.Context, tx *tenants.Tx, id uuid.UUID) (deal string, err error) {
	_, err = one(struct{}{}, tx.QueryRow(ctx, `SELECT deal_id FROM exceptions WHERE id = $1`, id).Scan(&deal))
	return deal, err
}

// Exceptions lists open exceptions, the oldest first; of one deal when deal is not empty.
func Exceptions(ctx context.Context, tx *tenants.Tx, deal string, after uuid.UUID, limit int) ([]Exception, error) {
	return tenants.Rows[Exception](ctx, tx, `SELECT `+exceptionColumns+` FROM exceptions
		WHERE closed_at IS NULL AND ($1 = '' OR deal_id = $1) AND id > $2 ORDER BY id LIMIT $3`, deal, after, limit)
}
