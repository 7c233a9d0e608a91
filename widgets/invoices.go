package widgets

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// pageSize is how many things a list answers at once.
const pageSize = 50

// CreateInvoice answers POST /invoices.
func (s *Service) CreateInvoice(c *gin.Context) {
	w := who(c)
	var in api.NewInvoice
	raw, err := decode(c, &in)
	if err == nil && (in.DealId == "" || len(in.DealId) > 64) {
		err = &bad{"deal_id_missing", "deal_id is missing."}
	}
	if err == nil {
		err = w.within(in.DealId)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	ctx, key := c.Request.Context(), c.GetHeader("Idempotency-Key")
	made, seen, err := s.Payments.Made(ctx, w.tenant, key, raw)
	if err == nil && !seen {
		var request payments.NewInvoice
		if request, err = s.complete(ctx, w, in); err == nil {
			request.Key, request.Request = key, raw
			made, err = s.Payments.Create(ctx, w.tenant, w.by, request)
		}
	}
	s.answerInvoice(c, http.StatusCreated, made, err)
}

// complete fills in from the CRM's deal what the request leaves out. The deal must be there in any case.
func (s *Service) complete(ctx context.Context, w caller, in api.NewInvoice) (payments.NewInvoice, error) {
	deal, tenant, err := s.crmDeal(ctx, w, in.DealId)
	if err != nil {
		return payments.NewInvoice{}, err
	}
	d, err := s.defaults(ctx, w, tenant, deal)
	if err != nil {
		return payments.NewInvoice{}, err
	}
	terms := payments.Terms{Purpose: d.Purpose, ExpiresAt: d.ExpiresAt}
	switch {
	case in.Amount != nil:
		terms.Amount = *in.Amount
	case d.Amount != nil:
		terms.Amount = *d.Amount
	default:
		return payments.NewInvoice{}, &payments.Invalid{Code: "deal_amount_unusable",
			Detail: "The deal has no amount that is still to be paid. Give the amount, or set it in the deal."}
	}
	if in.Purpose != nil {
		terms.Purpose = *in.Purpose
	}
	if in.ExpiresAt != nil {
		terms.ExpiresAt = *in.ExpiresAt
	}
	whole := amountOf(deal)
	whole.Currency = deal.Amount.Currency // also of a deal without an amount
	return payments.NewInvoice{DealID: in.DealId, OwnerID: deal.OwnerID, Customer: deal.Contact.Key, Terms: terms, Pipeline: deal.Pipeline, Whole: whole,
		Exchange: exchange(in.Exchange), Acquirer: value(in.Acquirer)}, nil
}

// defaults are what a new link would say: what the deal still lacks, its number, the tenant's expiry. Title and products
// stay out: they may hold private words.
func (s *Service) defaults(ctx context.Context, w caller, t tenants.Tenant, deal crm.Deal) (api.Defaults, error) {
	d := api.Defaults{Purpose: purposeOf(t, deal),
		ExpiresAt: s.Now().Add(time.Duration(t.Settings.LinkHours) * time.Hour).UTC().Truncate(time.Second)}
	whole, err := state.Parse(deal.Amount.Decimal, deal.Amount.Currency)
	if err != nil {
		return d, nil //nolint:nilerr // an amount that cannot be used is no default
	}
	err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		mine, err := s.Payments.DealOf(ctx, tx, deal.ID)
		if err == nil && mine.Currency == whole.Currency {
			whole.Minor -= mine.Balance.Paid - mine.Balance.Refunded + mine.Balance.Outstanding
		}
		return err
	})
	if whole.Minor > 0 {
		d.Amount = &api.Money{Minor: whole.Minor, Currency: whole.Currency}
	}
	return d, err
}

// invoiceID reads the id of the path and refuses invoices of other deals than the session's.
func (s *Service) invoiceID(c *gin.Context) (uuid.UUID, error) {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		return id, payments.ErrNotFound
	}
	if w := who(c); w.deal != "" {
		err = s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error { return w.may(ctx, tx, id) })
	}
	return id, err
}

// may refuses an invoice of another deal than the session's.
func (w caller) may(ctx context.Context, tx *tenants.Tx, invoice uuid.UUID) error {
	in, err := payments.Get(ctx, tx, invoice)
	if err == nil {
		err = w.within(in.DealID)
	}
	return err
}

// onInvoice decodes the body, if there is one to decode, and runs do on the invoice of the path.
func (s *Service) onInvoice(c *gin.Context, status int, body any, do func(ctx context.Context, w caller, id uuid.UUID, raw []byte) (payments.Invoice, error)) {
	id, err := s.invoiceID(c)
	var raw []byte
	if err == nil && body != nil {
		raw, err = decode(c, body)
	}
	var after payments.Invoice
	if err == nil {
		after, err = do(c.Request.Context(), who(c), id, raw)
	}
	s.answerInvoice(c, status, after, err)
}

func (s *Service) answerInvoice(c *gin.Context, status int, in payments.Invoice, err error) {
	var view api.Invoice
	if err == nil {
		view, err = s.view(c.Request.Context(), who(c), in)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(status, view)
}

// GetInvoice answers GET /invoices/{id}.
func (s *Service) GetInvoice(c *gin.Context) {
	s.onInvoice(c, http.StatusOK, nil, func(ctx context.Context, w caller, id uuid.UUID, _ []byte) (in payments.Invoice, err error) {
		err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			in, err = payments.Get(ctx, tx, id)
			return err
		})
		return in, err
	})
}

// EditInvoice answers PATCH /invoices/{id}.
func (s *Service) EditInvoice(c *gin.Context) {
	var in api.InvoiceEdit
	s.onInvoice(c, http.StatusOK, &in, func(ctx context.Context, w caller, id uuid.UUID, _ []byte) (payments.Invoice, error) {
		var t payments.Terms
		if in.Amount != nil {
			t.Amount = *in.Amount
		}
		if in.Purpose != nil {
			t.Purpose = *in.Purpose
		}
		if in.ExpiresAt != nil {
			t.ExpiresAt = *in.ExpiresAt
		}
		return s.Payments.Edit(ctx, w.tenant, w.by, id, t)
	})
}

// SendInvoice answers POST /invoices/{id}/send.
func (s *Service) SendInvoice(c *gin.Context) {
	var in api.SendRequest
	s.onInvoice(c, http.StatusOK, &in, func(ctx context.Context, w caller, id uuid.UUID, _ []byte) (payments.Invoice, error) {
		to := payments.Sending{Channel: payments.Channel(in.Channel), To: value(in.To), Language: value(in.Language)}
		if in.Channel == api.SendRequestChannelEmail && to.To == "" {
			var err error
			if to.To, err = s.mailOf(ctx, w, id); err != nil {
				return payments.Invoice{}, err
			}
		}
		return s.Payments.Send(ctx, w.tenant, w.by, id, to)
	})
}

// mailOf is the e-mail address of the customer whom the CRM names in an invoice's deal; empty when it names none.
func (s *Service) mailOf(ctx context.Context, w caller, invoice uuid.UUID) (string, error) {
	var in payments.Invoice
	err := s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) (err error) {
		in, err = payments.Get(ctx, tx, invoice)
		return err
	})
	if err != nil {
		return "", err
	}
	deal, err := s.peek(ctx, w, in.DealID, crm.Person, 15*time.Second)
	return deal.Contact.Email, err
}

// CancelInvoice answers POST /invoices/{id}/cancel.
func (s *Service) CancelInvoice(c *gin.Context) {
	s.onInvoice(c, http.StatusOK, nil, func(ctx context.Context, w caller, id uuid.UUID, _ []byte) (payments.Invoice, error) {
		return s.Payments.Cancel(ctx, w.tenant, w.by, id)
	})
}

// CheckInvoice answers POST /invoices/{id}/check: the acquirer is asked while the caller waits, and a card in the CRM that
// is late is tried now.
func (s *Service) CheckInvoice(c *gin.Context) {
	s.onInvoice(c, http.StatusOK, nil, func(ctx context.Context, w caller, id uuid.UUID, _ []byte) (in payments.Invoice, err error) {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		read := func(ctx context.Context, tx *tenants.Tx) (err error) {
			in, err = payments.Get(ctx, tx, id)
			return err
		}
		err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			if err := read(ctx, tx); err != nil {
				return err
			}
			if err := outbox.Revive(ctx, tx, in.DealID, s.Now()); err != nil {
				return err
			}
			return outbox.Hurry(ctx, tx, outbox.Push, in.DealID, s.Now())
		})
		if err == nil {
			err = s.Payments.CheckInvoice(ctx, w.tenant, id)
		}
		if err != nil {
			return in, err
		}
		return in, s.DB.In(ctx, w.tenant, read)
	})
}

// RefundInvoice answers POST /invoices/{id}/refunds.
func (s *Service) RefundInvoice(c *gin.Context) {
	var in api.RefundRequest
	s.onInvoice(c, http.StatusCreated, &in, func(ctx context.Context, w caller, id uuid.UUID, raw []byte) (payments.Invoice, error) {
		return s.Payments.Refund(ctx, w.tenant, w.by, id, payments.RefundRequest{Amount: in.Amount, Reason: in.Reason,
			Method: payments.RefundMethod(value(in.Method)), Reference: value(in.Reference),
			Key: c.GetHeader("Idempotency-Key"), Request: raw})
	})
}

// RecordPayment answers POST /invoices/{id}/payments.
func (s *Service) RecordPayment(c *gin.Context) {
	id, err := s.invoiceID(c)
	var in api.PaymentRequest
	var raw []byte
	if err == nil {
		raw, err = decode(c, &in)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	w := who(c)
	payment, after, err := s.Payments.Receive(c.Request.Context(), w.tenant, w.by, id, payments.Received{Method: string(in.Method),
		Amount: in.Amount, ReceivedAt: in.ReceivedAt, Reference: in.Reference, Reason: in.Reason,
		Key: c.GetHeader("Idempotency-Key"), Request: raw})
	s.answerPayment(c, http.StatusCreated, payment.String(), after, err)
}

// ReversePayment answers POST /payments/{id}/reverse.
func (s *Service) ReversePayment(c *gin.Context) {
	w := who(c)
	id, reason, err := s.undoing(c, w.ofInvoice(payments.InvoiceOf))
	var after payments.Invoice
	if err == nil {
		after, err = s.Payments.Reverse(c.Request.Context(), w.tenant, w.by, id, reason)
	}
	s.answerPayment(c, http.StatusOK, id.String(), after, err)
}

func (s *Service) answerPayment(c *gin.Context, status int, id string, in payments.Invoice, err error) {
	var view api.Invoice
	if err == nil {
		view, err = s.view(c.Request.Context(), who(c), in)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(status, api.Payment{Id: id, Invoice: view})
}

// ListInvoices answers GET /invoices.
func (s *Service) ListInvoices(c *gin.Context) {
	w := who(c)
	f := payments.Filter{DealID: c.Query("deal_id"), Status: state.Status(c.Query("status")), Limit: pageSize + 1}
	var err error
	if after := c.Query("after"); after != "" {
		if f.After, err = uuid.Parse(after); err != nil {
			err = &bad{"cursor_unreadable", "after is not a cursor of this list."}
		}
	}
	if w.deal != "" && f.DealID != "" && f.DealID != w.deal {
		err = errors.Join(err, payments.ErrNotFound)
	}
	if f.Status != "" && !knownStatus(f.Status) {
		err = &bad{"status_unknown", "status is none of the list."}
	}
	if w.deal != "" {
		f.DealID = w.deal
	}
	page := api.InvoicePage{Items: []api.Invoice{}}
	if err == nil {
		err = s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			list, err := payments.List(ctx, tx, f)
			if err != nil {
				return err
			}
			list, page.Next = cut(list, func(in payments.Invoice) string { return in.ID.String() })
			page.Items, err = s.views(ctx, tx, w, list)
			return err
		})
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, page)
}

func knownStatus(status state.Status) bool {
	for _, k := range state.Statuses {
		if k == status {
			return true
		}
	}
	return false
}
