package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
)

// Terms are what an invoice says to the customer.
type Terms struct {
	Amount    Money     `json:"amount"`
	Purpose   string    `json:"purpose"`
	ExpiresAt time.Time `json:"expires_at"`
}

// NewInvoice is what Create needs.
type NewInvoice struct {
	DealID   string `json:"deal_id"`
	OwnerID  string `json:"-"` // the deal's owner now
	Terms    Terms  `json:"terms"`
	Acquirer string `json:"acquirer"` // empty: by the tenant's routes

	Customer string     `json:"-"` // how the CRM numbers the deal's customer
	Pipeline string     `json:"-"` // of the deal now
	Whole    Money      `json:"-"` // the deal's amount now; no minor units when the CRM's cannot be used, no currency when it has none
	Exchange *Exchange  `json:"exchange"`
	Part     string     `json:"part"`
	DueAt    *time.Time `json:"due_at"`

	replaces, plan *uuid.UUID
	Key            string `json:"-"` // idempotency key
	Request        []byte `json:"-"` // the request as it came: the same key with another one is refused
}

// bounds of what people may enter.
const (
	maxPurpose = 250
	maxLife    = 366 * 24 * time.Hour
)

// chargeable refuses what is no amount of money that anybody may ask for, take or give back. Error: Invalid.
func chargeable(amount Money) error {
	_, known := state.Exponent(amount.Currency)
	switch {
	case amount.Minor <= 0:
		return invalid("amount_not_positive", "The amount must be more than zero.")
	case !known:
		return invalid("currency_unknown", "The currency %q is not known here. Use an ISO 4217 code such as AMD.", amount.Currency)
	case !amount.Valid():
		return invalid("amount_too_large", "The amount is larger than %s.", Money{Minor: state.MaxMinor, Currency: amount.Currency})
	}
	return nil
}

func (t Terms) check(now time.Time) error {
	if err := chargeable(t.Amount); err != nil {
		return err
	}
	switch {
	case strings.TrimSpace(t.Purpose) == "":
		return invalid("purpose_empty", "Say what the payment is for.")
	case !fit(t.Purpose, maxPurpose):
		return invalid("purpose_unusable", "The purpose must be one line of at most %d characters.", maxPurpose)
	case !t.ExpiresAt.After(now):
		return invalid("expiry_past", "The link would already have expired. Choose a later time.")
	case t.ExpiresAt.After(now.Add(maxLife)):
		return invalid("expiry_too_far", "A link can live for a year at most.")
	}
	return nil
}

// Made returns the invoice that an earlier request with this key made, if there was one, so that repeating a request
// needs nobody else's answer. Error: tenants.ErrOtherBody.
func (s *Service) Made(ctx context.Context, id tenants.ID, key string, request []byte) (made Invoice, seen bool, err error) {
	err = s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var ref string
		ref, seen, err = tx.Seen(ctx, key, creation(request))
		if err == nil && seen {
			made, err = Get(ctx, tx, uuid.MustParse(ref))
		}
		return err
	})
	return made, seen, err
}

// creation is what an idempotency key stands for.
func creation(request []byte) []byte { return append([]byte("invoice "), request...) }

// Create makes an invoice and its link. The same key with the same request returns the earlier invoice.
// Errors: Invalid, ErrNoAcquirer, tenants.ErrOtherBody.
func (s *Service) Create(ctx context.Context, id tenants.ID, by By, in NewInvoice) (Invoice, error) {
	var made Invoice
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		fresh := tenants.NewUUID()
		ref, seen, err := tx.Once(ctx, in.Key, creation(in.Request), fresh.String())
		if err != nil {
			return err
		}
		if seen {
			made, err = Get(ctx, tx, uuid.MustParse(ref))
			return err
		}
		if err := in.Terms.check(s.Now()); err != nil {
			return err
		}
		q, err := s.quote(ctx, tx, in)
		if err != nil {
			return err
		}
		made, err = s.insert(ctx, tx, fresh, by, in, q)
		return err
	})
	return made, err
}

func (s *Service) insert(ctx context.Context, tx *tenants.Tx, id uuid.UUID, by By, in NewInvoice, q quote) (Invoice, error) {
	if err := s.fits(ctx, tx, in, q.charge); err != nil {
		return Invoice{}, err
	}
	t := in.Terms
	var claim, whole *int64
	var claimed *string
	if q.claim != nil {
		claim, claimed = &q.claim.Minor, &q.claim.Currency
	}
	if in.Whole.Minor > 0 {
		whole = &in.Whole.Minor
	}
	_, err := tx.Exec(ctx, `INSERT INTO invoices (tenant_id, id, number, deal_id, minor, currency, purpose, acquirer, outstanding, expires_at, owner_id, created_by, created_at,
			pipeline, part, due_at, replaces, plan_id, claim_minor, claim_currency, rate, rate_from, deal_minor, deal_currency, customer)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $5, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)`,
		tx.Tenant().String(), id, tenants.NewNumber("DP"), in.DealID,
		q.charge.Minor, q.charge.Currency, t.Purpose, in.Acquirer, t.ExpiresAt, in.OwnerID, string(by.Actor), s.Now(),
		in.Pipeline, in.Part, in.DueAt, in.replaces, in.plan, claim, claimed, q.rate, q.rateFrom, whole, in.Whole.Currency, in.Customer)
	if err != nil {
		return Invoice{}, err
	}
	if err := newLink(ctx, tx, id); err != nil {
		return Invoice{}, err
	}
	made, err := Get(ctx, tx, id)
	if err != nil {
		return made, err
	}
	if err := outbox.Make(ctx, tx, outbox.Expire, id.String(), t.ExpiresAt); err != nil {
		return made, err
	}
	if err := outbox.Make(ctx, tx, outbox.Push, in.DealID, s.Now()); err != nil {
		return made, err
	}
	return made, tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "invoice.created", DealID: in.DealID, Invoice: &id,
		After: string(made.Status)}, map[string]any{"number": made.Number, "amount": t.Amount, "expires_at": t.ExpiresAt, "charge": q.charge, "rate": q.rate})
}

// fits refuses an amount that no connected acquirer takes, a second currency in one deal, and a first one that is not the deal's:
// its balance would be in a currency that the deal was not sold in. Where the deal's currency was changed in the CRM since, what
// its invoices are in goes on.
func (s *Service) fits(ctx context.Context, tx *tenants.Tx, in NewInvoice, charge Money) error {
	if _, err := s.route(ctx, tx, in.Pipeline, charge, in.Acquirer); err != nil {
		return err
	}
	var other string
	var begun bool
	if err := tx.QueryRow(ctx, `SELECT coalesce(min(c) FILTER (WHERE c <> $2), ''), coalesce(bool_or(c = $2), false)
		FROM (SELECT coalesce(claim_currency, currency) AS c FROM invoices WHERE deal_id = $1 AND status <> 'cancelled') i`,
		in.DealID, in.Terms.Amount.Currency).Scan(&other, &begun); err != nil {
		return fmt.Errorf("read the deal's currency: %w", err)
	}
	of := in.Whole.Currency
	_, known := state.Exponent(of)
	switch {
	case other != "":
		return invalid("currency_mixed", "This deal already has invoices in %s. Use the same currency.", other)
	case known && !begun && of != in.Terms.Amount.Currency:
		return invalid("currency_not_the_deals", "This deal is in %s. Give the amount in %s; for a customer who pays in %s name that currency and its rate as exchange, or enter the rate in the settings.",
			of, of, in.Terms.Amount.Currency)
	}
	return nil
}

// Edit changes an invoice's terms until its link is first sent. Zero fields stay. Errors: ErrNotFound, ErrLocked, Invalid.
func (s *Service) Edit(ctx context.Context, id tenants.ID, by By, invoice uuid.UUID, t Terms) (Invoice, error) {
	return s.change(ctx, id, invoice, func(ctx context.Context, tx *tenants.Tx, in Invoice) error {
		if in.LockedAt != nil {
			return ErrLocked
		}
		if in.Status != state.AwaitingPayment {
			return ErrState
		}
		was := Terms{in.Claim(), in.Purpose, in.ExpiresAt}
		next := was.with(t)
		if err := next.check(s.Now()); err != nil {
			return err
		}
		charge, err := s.rounded(ctx, tx, in, next.Amount)
		if err != nil {
			return err
		}
		if charge != in.Amount() {
			if err := s.fits(ctx, tx, NewInvoice{DealID: in.DealID, Terms: next, Acquirer: in.Acquirer, Pipeline: in.Pipeline}, charge); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE invoices SET minor = $2, currency = $3, purpose = $4, expires_at = $5, outstanding = $2 - paid, updated_at = $6,
			claim_minor = CASE WHEN rate <> '' THEN $7::bigint END WHERE id = $1`,
			invoice, charge.Minor, charge.Currency, next.Purpose, next.ExpiresAt, s.Now(), next.Amount.Minor); err != nil {
			return err
		}
		outbox.Drop(tx, outbox.Expire, invoice.String(), s.Now())
		if err := outbox.Make(ctx, tx, outbox.Expire, invoice.String(), next.ExpiresAt); err != nil {
			return err
		}
		if err := outbox.Make(ctx, tx, outbox.Push, in.DealID, s.Now()); err != nil {
			return err
		}
		return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "invoice.edited", DealID: in.DealID, Invoice: &invoice,
			Before: string(in.Status), After: string(in.Status)}, map[string]Terms{"before": was, "after": next})
	})
}

func (t Terms) with(next Terms) Terms {
	if next.Amount != (Money{}) {
		t.Amount = next.Amount
	}
	if next.Purpose != "" {
		t.Purpose = next.Purpose
	}
	if !next.ExpiresAt.IsZero() {
		t.ExpiresAt = next.ExpiresAt
	}
	return t
}

// change runs fn on a locked invoice and returns the invoice as it is afterwards.
func (s *Service) change(ctx context.Context, id tenants.ID, invoice uuid.UUID, fn func(context.Context, *tenants.Tx, Invoice) error) (Invoice, error) {
	var after Invoice
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		in, err := lock(ctx, tx, invoice)
		if err != nil {
			return err
		}
		if err := fn(ctx, tx, in); err != nil {
			return err
		}
		after, err = Get(ctx, tx, invoice)
		return err
	})
	return after, err
}

// seal locks the terms for good.
func (s *Service) seal(ctx context.Context, tx *tenants.Tx, in Invoice) error {
	if in.LockedAt != nil {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE invoices SET locked_at = $2, updated_at = $2 WHERE id = $1`, in.ID, s.Now())
	return err
}

// Cancel withdraws an invoice that no money came for; the acquirers are asked first. Errors: ErrNotFound, ErrState,
// ErrBeingChecked.
func (s *Service) Cancel(ctx context.Context, id tenants.ID, by By, invoice uuid.UUID) (Invoice, error) {
	if err := s.askBefore(ctx, id, invoice); err != nil {
		return Invoice{}, err
	}
	return s.change(ctx, id, invoice, func(ctx context.Context, tx *tenants.Tx, in Invoice) error {
		p, err := s.soon(ctx, tx, in)
		if err != nil {
			return err
		}
		answer, err := state.Decide(p, state.Cancel)
		if err != nil || answer == state.Ignore {
			return err
		}
		return s.withdraw(ctx, tx, in, by, "invoice.cancelled", evidence{Source: "person"})
	})
}

// withdraw retires an invoice's link. Error: ErrBeingChecked while an acquirer may be taking the money.
func (s *Service) withdraw(ctx context.Context, tx *tenants.Tx, in Invoice, by By, action string, why evidence) error {
	if taken, err := reserved(ctx, tx, in.ID, uuid.Nil, s.Now()); taken || err != nil {
		return errors.Join(err, ErrBeingChecked)
	}
	return s.record(ctx, tx, in, by.Actor, action, finding{Fact: state.Fact{Kind: state.Withdrawn, At: s.Now()}, evidence: why})
}

// newLink makes the invoice's link: a token that only the customer and the sealed copy know.
func newLink(ctx context.Context, tx *tenants.Tx, invoice uuid.UUID) error {
	token := tenants.NewToken()
	sealed, err := tx.Seal("link", []byte(token))
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO links (tenant_id, id, invoice_id, token) VALUES ($1, $2, $3, $4)`,
		tx.Tenant().String(), tenants.NewUUID(), invoice, sealed); err != nil {
		return err
	}
	return tx.OpenDoor(ctx, tenants.LinkDoor, token, invoice.String())
}

// URL is the address of the invoice's pay page. Error: ErrNotFound.
func (s *Service) URL(ctx context.Context, tx *tenants.Tx, invoice uuid.UUID) (string, error) {
	urls, err := s.urls(ctx, tx, []uuid.UUID{invoice})
	if err == nil && urls[invoice] == "" {
		err = ErrNotFound
	}
	return urls[invoice], err
}

// urls are the addresses of these invoices' pay pages.
func (s *Service) urls(ctx context.Context, tx *tenants.Tx, invoices []uuid.UUID) (map[uuid.UUID]string, error) {
	links, err := tenants.Rows[struct {
		Invoice uuid.UUID `db:"invoice_id"`
		Token   []byte    `db:"token"`
	}](ctx, tx, `SELECT invoice_id, token FROM links WHERE invoice_id = ANY($1) AND retired_at IS NULL`, invoices)
	if err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	urls := make(map[uuid.UUID]string, len(links))
	for _, l := range links {
		token, err := tx.Open("link", l.Token)
		if err != nil {
			return nil, err
		}
		urls[l.Invoice] = s.PublicURL + "/p/" + string(token)
	}
	return urls, nil
}

// evidence is what a fact rests on. It holds no secret and nothing personal.
type evidence struct {
	Source     string          `json:"source"`           // status_answer, notice, person, timer, pay_page
	By         tenants.Actor   `json:"by,omitempty"`     // of a person's word
	Notice     string          `json:"notice,omitempty"` // that told, or made us ask
	NoticeAt   *time.Time      `json:"notice_received_at,omitempty"`
	Signature  string          `json:"signature,omitempty"` // of the notice: good, or none where it is not signed
	RequestID  string          `json:"request_id,omitempty"`
	Code       string          `json:"code,omitempty"`
	PaidAt     *time.Time      `json:"acquirer_paid_at,omitempty"`
	Method     string          `json:"method,omitempty"`
	Received   *time.Time      `json:"received_at,omitempty"`
	Reason     string          `json:"reason,omitempty"`
	Reference  string          `json:"reference,omitempty"`
	Answer     json.RawMessage `json:"answer,omitempty"` // the acquirer's, redacted
	AskedAfter string          `json:"asked_after,omitempty"`
	Orphan     string          `json:"orphan,omitempty"` // of money that came to this invoice without an attempt: its exception's key
}
