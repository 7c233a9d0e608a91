package widgets

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// value is what an optional member holds, or nothing.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func exchange(in *api.Exchange) *payments.Exchange {
	if in == nil {
		return nil
	}
	return &payments.Exchange{Currency: in.Currency, Rate: value(in.Rate)}
}

// amountOf is the deal's amount in the CRM; zero when it cannot be used.
func amountOf(d crm.Deal) payments.Money {
	whole, err := state.Parse(d.Amount.Decimal, d.Amount.Currency)
	if err != nil || whole.Minor <= 0 {
		return payments.Money{}
	}
	return whole
}

// purposeOf is what a new link is for: the deal's number, or its title where the tenant chose so.
func purposeOf(t tenants.Tenant, d crm.Deal) string {
	title := strings.Join(strings.FieldsFunc(d.Title, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if !t.Settings.Payments.DealTitle || title == "" {
		return purpose(t.Settings.Language) + " " + d.ID
	}
	for utf8.RuneCountInString(title) > 200 {
		_, last := utf8.DecodeLastRuneInString(title)
		title = title[:len(title)-last]
	}
	return title
}

// ReplaceInvoice answers POST /invoices/{id}/replace.
func (s *Service) ReplaceInvoice(c *gin.Context) {
	var in api.ReplaceRequest
	s.onInvoice(c, http.StatusCreated, &in, func(ctx context.Context, w caller, id uuid.UUID, raw []byte) (made payments.Invoice, err error) {
		var life time.Duration
		err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			me, err := tx.Me(ctx)
			life = time.Duration(me.Settings.LinkHours) * time.Hour
			return err
		})
		if err != nil {
			return made, err
		}
		terms := payments.Terms{Amount: value(in.Amount), Purpose: value(in.Purpose), ExpiresAt: s.Now().Add(life).UTC().Truncate(time.Second)}
		if in.ExpiresAt != nil {
			terms.ExpiresAt = *in.ExpiresAt
		}
		return s.Payments.Replace(ctx, w.tenant, w.by, id, payments.NewInvoice{Terms: terms, Acquirer: value(in.Acquirer), Exchange: exchange(in.Exchange),
			Key: c.GetHeader("Idempotency-Key"), Request: raw})
	})
}

// PlanDeal answers POST /deals/{deal_id}/plan.
func (s *Service) PlanDeal(c *gin.Context) {
	w, deal := who(c), c.Param("deal_id")
	var in api.PlanRequest
	raw, err := decode(c, &in)
	if err == nil {
		err = w.within(deal)
	}
	page := api.InvoicePage{Items: []api.Invoice{}}
	if err == nil {
		page.Items, err = s.plan(c.Request.Context(), w, deal, c.GetHeader("Idempotency-Key"), in, raw)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusCreated, page)
}

func (s *Service) plan(ctx context.Context, w caller, deal, key string, in api.PlanRequest, raw []byte) (views []api.Invoice, err error) {
	made, seen, err := s.Payments.Planned(ctx, w.tenant, deal, key, raw)
	if err == nil && !seen {
		made, err = s.newPlan(ctx, w, deal, key, in, raw)
	}
	if err != nil {
		return nil, err
	}
	err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		views, err = s.views(ctx, tx, w, made)
		return err
	})
	return views, err
}

func (s *Service) newPlan(ctx context.Context, w caller, deal, key string, in api.PlanRequest, raw []byte) ([]payments.Invoice, error) {
	whole, err := s.complete(ctx, w, api.NewInvoice{DealId: deal, Amount: in.Amount, Purpose: in.Purpose, ExpiresAt: in.ExpiresAt,
		Acquirer: in.Acquirer, Exchange: in.Exchange})
	if err != nil {
		return nil, err
	}
	whole.Key, whole.Request = key, raw
	plan := payments.NewPlan{NewInvoice: whole}
	for _, p := range in.Parts {
		plan.Parts = append(plan.Parts, payments.Share{Percent: value(p.Percent), Minor: value(p.AmountMinor), DueAt: p.DueAt, Purpose: value(p.Purpose)})
	}
	err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		me, err := tx.Me(ctx)
		plan.Grace = time.Duration(me.Settings.LinkHours) * time.Hour
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.Payments.Plan(ctx, w.tenant, w.by, plan)
}

// GetMessage answers GET /invoices/{id}/message.
func (s *Service) GetMessage(c *gin.Context) {
	id, err := s.invoiceID(c)
	if lang := c.Query("language"); err == nil && lang != "" && !slices.Contains(payments.Languages, lang) {
		err = &bad{"language_unknown", "There are no messages in this language."}
	}
	var message tenants.Template
	if err == nil {
		err = s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
			in, err := payments.Get(ctx, tx, id)
			if err == nil {
				message, err = s.Payments.Message(ctx, tx, in, c.Query("language"))
			}
			return err
		})
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, api.Message{Subject: message.Subject, Text: message.Text})
}

// NoteReceipt answers POST /invoices/{id}/receipts.
func (s *Service) NoteReceipt(c *gin.Context) {
	var in api.ReceiptRequest
	s.onInvoice(c, http.StatusCreated, &in, func(ctx context.Context, w caller, id uuid.UUID, _ []byte) (payments.Invoice, error) {
		return s.Payments.NoteReceipt(ctx, w.tenant, w.by, id, payments.NewReceipt{Payment: value(in.Payment), Number: in.Number,
			Kind: string(in.Kind), State: string(in.State), Reason: value(in.Reason)})
	})
}

// ListWithoutReceipt answers GET /receipts/missing.
func (s *Service) ListWithoutReceipt(c *gin.Context) {
	after := uuid.Nil
	if text := c.Query("after"); text != "" {
		var err error
		if after, err = uuid.Parse(text); err != nil {
			s.fail(c, &bad{"cursor_unreadable", "after is not a cursor of this list."})
			return
		}
	}
	page := api.UnreceiptedPage{Items: []api.Unreceipted{}}
	err := s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
		list, err := payments.WithoutReceipt(ctx, tx, after, pageSize+1)
		list, page.Next = cut(list, func(p payments.Unreceipted) string { return p.Payment.String() })
		for _, p := range list {
			page.Items = append(page.Items, api.Unreceipted{Payment: p.Payment.String(), InvoiceId: p.InvoiceID.String(), InvoiceNumber: p.Number,
				DealId: p.DealID, Amount: api.Money{Minor: p.Minor, Currency: p.Currency}, PaidAt: p.PaidAt.UTC()})
		}
		return err
	})
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, page)
}

// ListActs answers GET /acts.
func (s *Service) ListActs(c *gin.Context) {
	before, err := newest(c)
	w := who(c)
	page := api.ActPage{Items: []api.Act{}}
	if err == nil {
		err = s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			acts, err := payments.Acts(ctx, tx, before, pageSize+1)
			acts, page.Next = cut(acts, func(a payments.Act) string { return strconv.FormatInt(a.N, 10) })
			for _, a := range acts {
				page.Items = append(page.Items, actView(a, w))
			}
			return err
		})
	}
	s.answer(c, http.StatusOK, page, err)
}

func actView(a payments.Act, w caller) api.Act {
	kind := api.ActKind(a.Decision)
	switch a.Kind {
	case state.MovedOut, state.MovedIn:
		kind = api.ActKindMove
	case state.GivenBack:
		kind = api.ActKindGivenBack
	case state.Received:
		kind = api.ActKindPayment
	}
	came := a.Kind == state.MovedIn
	return api.Act{Came: &came, Id: a.Ref, Kind: kind, Method: given(a.Evidence.Method), Amount: api.Money{Minor: a.Minor, Currency: a.Currency},
		InvoiceId: a.InvoiceID.String(), InvoiceNumber: a.InvoiceNumber, DealId: a.DealID, By: string(a.Evidence.By), Reason: a.Evidence.Reason,
		Reference: a.Evidence.Reference, At: a.At.UTC(), Undone: a.Undone, MayUndo: !a.Undone && w.by.Role.Allows(a.Undoer())}
}

// undoing reads what a person takes back and why. within refuses what is not of the deal that a card's session may reach.
func (s *Service) undoing(c *gin.Context, within func(context.Context, *tenants.Tx, uuid.UUID) error) (uuid.UUID, string, error) {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		return id, "", payments.ErrNotFound
	}
	var in api.ReasonRequest
	if _, err := decode(c, &in); err != nil || who(c).deal == "" {
		return id, in.Reason, err
	}
	return id, in.Reason, s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error { return within(ctx, tx, id) })
}

// ofInvoice is within of [Service.undoing] for what belongs to the invoice that find names.
func (w caller) ofInvoice(find func(context.Context, *tenants.Tx, uuid.UUID) (uuid.UUID, error)) func(context.Context, *tenants.Tx, uuid.UUID) error {
	return func(ctx context.Context, tx *tenants.Tx, id uuid.UUID) error {
		invoice, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		return w.may(ctx, tx, invoice)
	}
}

// UndoMove answers POST /moves/{id}/undo.
func (s *Service) UndoMove(c *gin.Context) {
	w := who(c)
	id, reason, err := s.undoing(c, func(ctx context.Context, tx *tenants.Tx, id uuid.UUID) error {
		deals, err := payments.MoveDeals(ctx, tx, id)
		if err == nil && !slices.Contains(deals, w.deal) {
			err = payments.ErrNotFound
		}
		return err
	})
	var from payments.Invoice
	if err == nil {
		from, err = s.Payments.UndoMove(c.Request.Context(), w.tenant, w.by, id, reason)
	}
	s.answerInvoice(c, http.StatusOK, from, err)
}

// UndoRefund answers POST /refunds/{id}/undo.
func (s *Service) UndoRefund(c *gin.Context) {
	w := who(c)
	id, reason, err := s.undoing(c, w.ofInvoice(payments.GivenBackOn))
	var after payments.Invoice
	if err == nil {
		after, err = s.Payments.UndoRefund(c.Request.Context(), w.tenant, w.by, id, reason)
	}
	s.answerInvoice(c, http.StatusOK, after, err)
}

// UndoDecision answers POST /decisions/{id}/undo.
func (s *Service) UndoDecision(c *gin.Context) {
	w := who(c)
	id, reason, err := s.undoing(c, w.ofInvoice(payments.DecidedOn))
	var after payments.Invoice
	if err == nil {
		after, err = s.Payments.UndoDecision(c.Request.Context(), w.tenant, w.by, id, reason)
	}
	s.answerInvoice(c, http.StatusOK, after, err)
}

// moneyView adds to an invoice's view what became of its money beside paying.
func (s *Service) moneyView(ctx context.Context, tx *tenants.Tx, in payments.Invoice, v *api.Invoice) error {
	v.DueAt, v.QrUrl = utc(in.DueAt), given(v.Url+"/qr.png")
	v.Part, v.Rate, v.RateFrom = given(in.Part), given(in.Rate), given(in.RateFrom)
	if in.Rate != "" {
		claim := in.Claim()
		v.Claim = &claim
	}
	if in.Replaces != nil {
		v.Replaces = given(in.Replaces.String())
	}
	refunds, err := payments.Refunds(ctx, tx, in.ID)
	if err != nil {
		return err
	}
	views := []api.Refund{}
	for _, r := range refunds {
		views = append(views, api.Refund{Id: r.ID.String(), Amount: api.Money{Minor: r.Minor, Currency: r.Currency}, Status: r.Status,
			Method: string(r.Method), Reference: r.Reference, Reason: r.Reason, AskedBy: string(r.AskedBy), ApprovedBy: string(r.ApprovedBy), CreatedAt: r.CreatedAt.UTC()})
	}
	noted, err := payments.Receipts(ctx, tx, in.ID)
	receipts := []api.Receipt{}
	for _, r := range noted {
		receipts = append(receipts, api.Receipt{Payment: r.Payment.String(), Number: r.Number, Kind: r.Kind, State: r.State, Reason: r.Reason,
			NotedBy: string(r.NotedBy), NotedAt: r.NotedAt.UTC()})
	}
	v.Refunds, v.Receipts = &views, &receipts
	if err != nil || in.Paid <= in.Refunded {
		return err
	}
	g, err := s.Payments.GiveBackOf(ctx, tx, in)
	if errors.Is(err, payments.ErrNotFound) {
		return nil
	}
	if err == nil {
		v.GiveBack = &api.GiveBack{Most: g.Most, Acquirer: g.Acquirer, Methods: []api.GiveBackMethods{}, Partial: g.Partial, Limit: g.Limit, Open: g.Open}
		for _, way := range g.Methods {
			v.GiveBack.Methods = append(v.GiveBack.Methods, api.GiveBackMethods(way))
		}
	}
	return err
}

// given is a member that is left out when it would be empty.
func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
