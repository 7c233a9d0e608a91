package widgets

import (
	"context"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/google/uuid"
)

// view is an invoice as the API shows it.
func (s *Service) view(ctx context.Context, w caller, in payments.Invoice) (view api.Invoice, err error) {
	err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		views, err := s.views(ctx, tx, w, []payments.Invoice{in})
		if err == nil {
			view = views[0]
		}
		return err
	})
	return view, err
}

func (s *Service) views(ctx context.Context, tx *tenants.Tx, w caller, list []payments.Invoice) ([]api.Invoice, error) {
	ids := make([]uuid.UUID, len(list))
	for i, in := range list {
		ids[i] = in.ID
	}
	attempts, err := payments.Attempts(ctx, tx, ids...)
	if err != nil {
		return nil, err
	}
	sends, err := payments.Sends(ctx, tx, ids...)
	if err != nil {
		return nil, err
	}
	views := make([]api.Invoice, len(list))
	for i, in := range list {
		v := plainView(in)
		for _, a := range attempts {
			if a.InvoiceID == in.ID {
				v.Attempts = append(v.Attempts, api.Attempt{Id: a.ID.String(), Status: api.AttemptStatus(a.Status), Acquirer: a.Acquirer,
					ProviderRef: a.ProviderRef, CreatedAt: a.CreatedAt.UTC(), CheckedAt: utc(a.CheckedAt)})
				if a.PaidAt != nil && a.ProviderRef == in.Reference {
					v.AcquirerPaidAt = utc(a.PaidAt)
				}
			}
		}
		for _, sent := range sends {
			if sent.InvoiceID == in.ID {
				v.Sends = append(v.Sends, api.Send{At: sent.At.UTC(), By: sent.By, Channel: sent.Channel, State: given(sent.State), Failure: given(sent.Failure)})
			}
		}
		if err := s.complement(ctx, tx, w, in, &v); err != nil {
			return nil, err
		}
		views[i] = v
	}
	return views, nil
}

func plainView(in payments.Invoice) api.Invoice {
	money := func(minor int64) api.Money { return api.Money{Minor: minor, Currency: in.Currency} }
	return api.Invoice{Id: in.ID.String(), Number: in.Number, DealId: in.DealID, Status: api.Status(in.Status), Amount: money(in.Minor),
		Paid: money(in.Paid), Refunded: money(in.Refunded), Outstanding: money(in.Outstanding), Purpose: in.Purpose,
		ExpiresAt: in.ExpiresAt.UTC(), PaidAt: utc(in.PaidAt), ProviderRef: in.Reference, CreatedAt: in.CreatedAt.UTC(),
		Locked: in.LockedAt != nil, Attempts: []api.Attempt{}, Sends: []api.Send{}, Payments: []api.ManualPayment{}, Can: []api.InvoiceCan{}}
}

// complement adds what is kept elsewhere: the link, recorded payments, what may be done, how far the CRM is.
func (s *Service) complement(ctx context.Context, tx *tenants.Tx, w caller, in payments.Invoice, v *api.Invoice) error {
	var err error
	if v.Url, err = s.Payments.URL(ctx, tx, in.ID); err != nil {
		return err
	}
	if err := s.moneyView(ctx, tx, in, v); err != nil {
		return err
	}
	if err := byHand(ctx, tx, in, v); err != nil {
		return err
	}
	can, err := s.Payments.Can(ctx, tx, in, w.by.Role)
	if err != nil {
		return err
	}
	for _, what := range can {
		v.Can = append(v.Can, api.InvoiceCan(what))
	}
	sync, err := outbox.SyncOf(ctx, tx, in.DealID)
	v.Sync = syncView(sync)
	return err
}

// byHand adds what rests on a person's word.
func byHand(ctx context.Context, tx *tenants.Tx, in payments.Invoice, v *api.Invoice) error {
	word, err := payments.WordOf(ctx, tx, in.ID)
	for _, m := range word.Manuals {
		v.Payments = append(v.Payments, api.ManualPayment{Id: m.ID, Method: m.Method, Amount: m.Amount, ReceivedAt: m.ReceivedAt.UTC(),
			Reference: m.Reference, Reversed: m.Reversed, Reason: m.Reason, RecordedBy: string(m.By), RecordedAt: m.At.UTC()})
	}
	moves, decisions := []api.Move{}, []api.Decision{}
	for _, m := range word.Moves {
		moves = append(moves, api.Move{Id: m.ID, Amount: m.Amount, Came: m.In, Other: m.Other, Undone: m.Undone, By: string(m.By), Reason: m.Reason, At: m.At.UTC()})
	}
	for _, d := range word.Decisions {
		decisions = append(decisions, api.Decision{Id: d.ID, Undone: d.Undone, Decision: string(d.Decision), By: string(d.By), Reason: d.Reason, Reference: d.Reference, At: d.At.UTC()})
		if d.Amount.Currency != "" {
			decisions[len(decisions)-1].Amount = &d.Amount
		}
	}
	evidence := map[[2]bool]api.InvoiceEvidence{{true, false}: api.EvidenceAcquirer, {false, true}: api.EvidenceOperator, {true, true}: api.EvidenceBoth}[[2]bool{word.Acquirer, word.Operator}]
	v.Moves, v.Decisions, v.Evidence = &moves, &decisions, &evidence
	return err
}

func syncView(s outbox.Sync) api.Sync {
	v := api.Sync{State: api.SyncState(s.State), WrittenAt: utc(s.WrittenAt), Reason: s.Reason, NextTryAt: utc(s.NextTry), WaitsSince: utc(s.Since)}
	if s.Overwritten != nil {
		v.Overwritten = &api.Overwritten{At: s.OverwrittenAt.UTC(), Repaired: s.Repaired, What: []api.OverwrittenWhat{}}
		for _, what := range s.Overwritten {
			v.Overwritten.What = append(v.Overwritten.What, api.OverwrittenWhat(what))
		}
	}
	return v
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// dealView is a deal as the API shows it. now is its amount in the CRM, as far as somebody just read it.
func (s *Service) dealView(ctx context.Context, tx *tenants.Tx, w caller, deal, currency string) (api.Deal, payments.Deal, error) {
	d, err := s.Payments.DealOf(ctx, tx, deal)
	if err != nil {
		return api.Deal{}, d, err
	}
	if d.Currency == "" {
		d.Currency = currency
	}
	money := func(minor int64) api.Money { return api.Money{Minor: minor, Currency: d.Currency} }
	v := api.Deal{DealId: deal, Status: string(d.Balance.Status), Due: money(d.Balance.Due), Paid: money(d.Balance.Paid),
		Refunded: money(d.Balance.Refunded), Outstanding: money(d.Balance.Outstanding)}
	if over := d.Overpaid(); over > 0 {
		much := money(over)
		v.Overpaid = &much
	}
	if v.Invoices, err = s.views(ctx, tx, w, d.Invoices); err != nil {
		return v, d, err
	}
	v.Exceptions, _, err = s.exceptionViews(ctx, tx, w, deal, uuid.Nil)
	return v, d, err
}

func (s *Service) exceptionViews(ctx context.Context, tx *tenants.Tx, w caller, deal string, after uuid.UUID) ([]api.Exception, *string, error) {
	list, err := payments.Exceptions(ctx, tx, deal, after, pageSize+1)
	if err != nil {
		return nil, nil, err
	}
	var next *string
	if len(list) > pageSize {
		list = list[:pageSize]
		last := list[pageSize-1].ID.String()
		next = &last
	}
	views := []api.Exception{}
	for _, e := range list {
		v, err := s.exceptionView(ctx, tx, w, e)
		if err != nil {
			return nil, nil, err
		}
		views = append(views, v)
	}
	return views, next, nil
}

func (s *Service) exceptionView(ctx context.Context, tx *tenants.Tx, w caller, e payments.Exception) (api.Exception, error) {
	v := api.Exception{Id: e.ID.String(), Kind: e.Kind, DealId: e.DealID, Since: e.OpenedAt.UTC()}
	mine, others, err := s.Payments.Offer(ctx, tx, e, w.by.Role)
	if err != nil {
		return v, err
	}
	v.Decisions, v.Reserved = mine, &others
	if e.InvoiceID != nil {
		in, err := payments.Get(ctx, tx, *e.InvoiceID)
		if err != nil {
			return v, err
		}
		id := in.ID.String()
		v.InvoiceId, v.InvoiceNumber = &id, in.Number
	}
	if e.Currency != "" {
		v.Amount = &api.Money{Minor: e.Minor, Currency: e.Currency}
	}
	v.WhatHappened, v.WhatToDo = exceptionWords(e.Kind, w.lang)
	return v, nil
}
