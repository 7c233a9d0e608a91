// Package payments keeps invoices, links, attempts and their facts, and talks to acquirers through [Provider]. The state
// of money is decided in payments/state alone; this package feeds it and keeps what follows from it. It knows no CRM:
// what the CRM should hear is planned in the outbox.
package payments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/dealpay/dealpay/payments/mail"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Service is the payment side of Dealpay. Fill every field.
type Service struct {
	DB        *tenants.DB
	Providers map[string]Provider // by acquirer key, such as "vpos_am"
	HTTP      *http.Client        // to acquirers: allow-listed, bounded
	PublicURL string              // of this deployment, without trailing slash
	Post      mail.Post           // to tenants' mail servers; without Dial no e-mail is sent
	PostLocal bool                // mail servers under localhost may be named, at any port
	Now       func() time.Time
	Log       *slog.Logger

	crowd crowd // notices that came at once
	hangs hangs // acquirers that do not answer
}

// Errors that people and integrators meet. HTTP handlers turn them into answers.
var (
	ErrNotFound     = errors.New("payments: not there, or not this tenant's")
	ErrState        = state.ErrRefused // not in this state
	ErrNotPayable   = fmt.Errorf("%w: nothing can be paid by its link", ErrState)
	ErrLocked       = errors.New("payments: the link was sent, its terms are locked")
	ErrInvalid      = errors.New("payments: refused") // wrapped by *Invalid
	ErrNoAcquirer   = errors.New("payments: no acquirer is connected that takes this currency")
	ErrExpired      = errors.New("payments: the link has expired")
	ErrBeingChecked = errors.New("payments: a payment is being confirmed")
	ErrRole         = errors.New("payments: this role may not do that")
)

// Invalid says which part of a request was understood but cannot be accepted. It is an ErrInvalid.
type Invalid struct{ Code, Detail string }

func (e *Invalid) Error() string { return "payments: " + e.Code + ": " + e.Detail }

// Unwrap makes errors.Is(err, ErrInvalid) true.
func (e *Invalid) Unwrap() error { return ErrInvalid }

func invalid(code, detail string, args ...any) error {
	return &Invalid{Code: code, Detail: fmt.Sprintf(detail, args...)}
}

// By is who asks for something, with what they may do.
type By struct {
	Actor tenants.Actor
	Role  tenants.Role
}

// Invoice is a claim on a customer. Amounts are minor units of Currency.
type Invoice struct {
	ID          uuid.UUID     `db:"id"`
	Number      string        `db:"number"`
	DealID      string        `db:"deal_id"`
	Minor       int64         `db:"minor"`
	Currency    string        `db:"currency"`
	Purpose     string        `db:"purpose"`
	Acquirer    string        `db:"acquirer"`
	Status      state.Status  `db:"status"`
	Paid        int64         `db:"paid"`
	Refunded    int64         `db:"refunded"`
	Outstanding int64         `db:"outstanding"`
	PaidAt      *time.Time    `db:"paid_at"`
	RefundedAt  *time.Time    `db:"refunded_at"`
	Reference   string        `db:"reference"` // the acquirer's, of the newest payment
	ExpiresAt   time.Time     `db:"expires_at"`
	LockedAt    *time.Time    `db:"locked_at"`
	OwnerID     string        `db:"owner_id"`
	CreatedBy   tenants.Actor `db:"created_by"`
	CreatedAt   time.Time     `db:"created_at"`

	Customer string     `db:"customer"` // how the CRM numbers whom it is for; empty when that was not known
	Pipeline string     `db:"pipeline"` // of the deal when it was invoiced
	Part     string     `db:"part"`     // deposit, remainder, instalment; empty: the invoice stands alone
	DueAt    *time.Time `db:"due_at"`
	Replaces *uuid.UUID `db:"replaces"` // the invoice whose link it retired

	ClaimMinor    *int64  `db:"claim_minor"` // see Claim
	ClaimCurrency *string `db:"claim_currency"`
	Rate          string  `db:"rate"`      // units of Currency for one of the claim's; empty without conversion
	RateFrom      string  `db:"rate_from"` // manager or table

	DealMinor    *int64 `db:"deal_minor"` // the deal's whole amount in the CRM when it was invoiced
	DealCurrency string `db:"deal_currency"`
}

// Amount is what the invoice asks for.
func (i Invoice) Amount() Money { return Money{Minor: i.Minor, Currency: i.Currency} }

const invoiceColumns = `id, number, deal_id, customer, minor, currency, purpose, acquirer, status, paid, refunded, outstanding, paid_at,
	refunded_at, reference, expires_at, locked_at, owner_id, created_by, created_at, pipeline, part, due_at, replaces,
	claim_minor, claim_currency, rate, rate_from, deal_minor, deal_currency`

// Get reads an invoice. Error: ErrNotFound.
func Get(ctx context.Context, tx *tenants.Tx, id uuid.UUID) (Invoice, error) {
	return one(tenants.Row[Invoice](ctx, tx, `SELECT `+invoiceColumns+` FROM invoices WHERE id = $1`, id))
}

// lock reads an invoice and keeps everybody else from changing it until the transaction ends.
func lock(ctx context.Context, tx *tenants.Tx, id uuid.UUID) (Invoice, error) {
	return one(tenants.Row[Invoice](ctx, tx, `SELECT `+invoiceColumns+` FROM invoices WHERE id = $1 FOR UPDATE`, id))
}

func one[T any](v T, err error) (T, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return v, ErrNotFound
	}
	return v, err
}

// Filter chooses invoices; empty fields choose all.
type Filter struct {
	DealID string
	Status state.Status
	After  uuid.UUID // the last one of the page before
	Limit  int
}

// List returns invoices, newest first.
func List(ctx context.Context, tx *tenants.Tx, f Filter) ([]Invoice, error) {
	return tenants.Rows[Invoice](ctx, tx, `SELECT `+invoiceColumns+` FROM invoices
		WHERE ($1 = '' OR deal_id = $1) AND ($2 = '' OR status = $2) AND ($3 = '00000000-0000-0000-0000-000000000000'::uuid OR id < $3)
		ORDER BY id DESC LIMIT $4`, f.DealID, string(f.Status), f.After, f.Limit)
}
