package tenants

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Role is what a person or key may do.
type Role string

// The roles, each including the former.
const (
	Manager    Role = "manager"    // links of deals they can see
	Accountant Role = "accountant" // also exports and reconciliation
	Admin      Role = "admin"      // also settings, refunds, replay
)

// Allows says whether somebody in role r may do what needs role needed.
func (r Role) Allows(needed Role) bool {
	rank := map[Role]int{Manager: 1, Accountant: 2, Admin: 3}
	return rank[r] > 0 && rank[r] >= rank[needed]
}

// Actor is who does something: "user:12", "key:…", "customer", "acquirer", "timer", "crm".
type Actor string

// The actors that are no person.
const (
	Customer Actor = "customer"
	Acquirer Actor = "acquirer"
	Timer    Actor = "timer"
	CRM      Actor = "crm"
	Operator Actor = "operator"
)

// Entry is one line of the audit trail.
type Entry struct {
	ID        int64           `json:"-" db:"id"`
	At        time.Time       `json:"at" db:"at"`
	Actor     Actor           `json:"actor" db:"actor"`
	Action    string          `json:"action" db:"action"`
	DealID    string          `json:"deal_id,omitempty" db:"deal_id"`
	Invoice   *uuid.UUID      `json:"invoice_id,omitempty" db:"invoice_id"`
	Before    string          `json:"from" db:"before"`
	After     string          `json:"to" db:"after"`
	Evidence  json.RawMessage `json:"evidence" db:"evidence"`
	RequestID string          `json:"request_id,omitempty" db:"request_id"`
}

// Search chooses entries of the trail. The zero value fits all of them.
type Search struct {
	Before int64     // entries older than this one; 0: from the newest on
	Since  time.Time // zero: from the beginning
	Until  time.Time // exclusive; zero: to the end
	Actor  string    // "user:12", or a whole kind such as "user"
	Action string    // "invoice.sent", or a whole kind such as "invoice"
	Deal   string
}

type requestKey struct{}

// WithRequest marks ctx with the id of the request being served, for the audit trail and for logs.
func WithRequest(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestOf returns the request's id, or nothing.
func RequestOf(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// Audit appends to the trail. evidence is marshalled as it is and must hold no secret and nothing personal.
func (tx *Tx) Audit(ctx context.Context, e Entry, evidence any) error {
	raw := []byte("{}")
	if evidence != nil {
		var err error
		if raw, err = json.Marshal(evidence); err != nil {
			return fmt.Errorf("audit %s: %w", e.Action, err)
		}
	}
	tx.Later(`INSERT INTO audit (tenant_id, at, actor, action, deal_id, invoice_id, before, after, evidence, request_id)
		VALUES ($1, coalesce(nullif($2, '0001-01-01 00:00:00+00'::timestamptz), now()), $3, $4, $5, $6, $7, $8, $9, $10)`,
		tx.tenant.String(), e.At.UTC(), string(e.Actor), e.Action, e.DealID, e.Invoice, e.Before, e.After, raw, RequestOf(ctx))
	return nil
}

// Find returns the newest entries that fit, newest first.
func (tx *Tx) Find(ctx context.Context, s Search, limit int) ([]Entry, error) {
	return Rows[Entry](ctx, tx, `SELECT id, at, actor, action, deal_id, invoice_id, before, after, evidence, request_id FROM audit
		WHERE ($1 = 0 OR id < $1) AND at >= $2 AND ($3 = '0001-01-01 00:00:00+00'::timestamptz OR at < $3)
			AND ($4 = '' OR actor = $4 OR starts_with(actor, $4 || ':')) AND ($5 = '' OR action = $5 OR starts_with(action, $5 || '.'))
			AND ($6 = '' OR deal_id = $6) ORDER BY id DESC LIMIT $7`, s.Before, s.Since.UTC(), s.Until.UTC(), s.Actor, s.Action, s.Deal, limit)
}

// Trail returns entries older than before (0 for the newest), newest first; of one invoice when it is not nil.
func (tx *Tx) Trail(ctx context.Context, invoice *uuid.UUID, before int64, limit int) ([]Entry, error) {
	return Rows[Entry](ctx, tx, `SELECT id, at, actor, action, deal_id, invoice_id, before, after, evidence, request_id
		FROM audit WHERE ($1::uuid IS NULL OR invoice_id = $1) AND ($2 = 0 OR id < $2) ORDER BY id DESC LIMIT $3`, invoice, before, limit)
}
