package widgets

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

// GetDeal answers GET /deals/{deal_id}. A deal that has no invoice must be there in the CRM; of one that has, the CRM is
// only asked whether its amount is still what it was.
func (s *Service) GetDeal(c *gin.Context) {
	w, id := who(c), c.Param("deal_id")
	ctx := c.Request.Context()
	if w.deal != "" && w.deal != id {
		s.fail(c, payments.ErrNotFound)
		return
	}
	view, deal, err := s.readDeal(ctx, w, id, "")
	if err == nil && len(view.Invoices) == 0 {
		var held crm.Deal
		if held, _, err = s.crmDeal(ctx, w, id); err == nil {
			view, _, err = s.readDeal(ctx, w, id, held.Amount.Currency)
		}
	} else if err == nil {
		view.Drift = s.drift(ctx, w, id, deal)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, view)
}

func (s *Service) readDeal(ctx context.Context, w caller, id, currency string) (view api.Deal, deal payments.Deal, err error) {
	err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		view, deal, err = s.dealView(ctx, tx, w, id, currency)
		return err
	})
	return view, deal, err
}

// drift says whether the deal's amount in the CRM is another than when the newest link was made, as far as the CRM says it in
// time. It asks the CRM only when there is something to compare.
func (s *Service) drift(ctx context.Context, w caller, id string, deal payments.Deal) *api.Drift {
	if _, known := deal.Drifted(payments.Money{}); !known {
		return nil
	}
	if w.deal != "" {
		if held, err := s.peek(ctx, w, id, crm.Person, glimpse); err == nil {
			return driftOf(deal, amountOf(held))
		}
		return nil // without the CRM the deal still shows what is owed and paid
	}
	// A program may ask many times a second, which must not eat up the CRM's limit: it waits its turn, and once in a while is enough.
	key := w.tenant.String() + " " + id
	seen := s.glimpses.get(key)
	if s.Now().Sub(seen.at) > glimpseFor {
		held, err := s.peek(ctx, w, id, crm.Housekeeping, glimpse)
		seen = glimpsed{amount: amountOf(held), known: err == nil, at: s.Now()}
		s.glimpses.add(key, seen)
	}
	if !seen.known {
		return nil
	}
	return driftOf(deal, seen.amount)
}

// glimpseFor is how long a program is told of a deal's amount what the CRM said before.
const glimpseFor = 30 * time.Second

// glimpsed is a deal's amount at the CRM, if it said so, and when it was asked.
type glimpsed struct {
	amount payments.Money
	known  bool
	at     time.Time
}

// glimpses remembers what was seen lately, and forgets all of it rather than grow.
type glimpses struct {
	mu   sync.Mutex
	seen map[string]glimpsed
}

func (g *glimpses) get(key string) glimpsed {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen[key]
}

func (g *glimpses) add(key string, one glimpsed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.seen) >= 4096 || g.seen == nil {
		g.seen = map[string]glimpsed{}
	}
	g.seen[key] = one
}

func driftOf(d payments.Deal, now payments.Money) *api.Drift {
	if was, drifted := d.Drifted(now); drifted && now.Minor > 0 {
		return &api.Drift{Was: was, Now: now}
	}
	return nil
}

// glimpse is how long is waited for what the CRM says of a deal where it is only a help.
const glimpse = 2500 * time.Millisecond

// peek reads a deal, with its contact, if the CRM answers within patience.
func (s *Service) peek(ctx context.Context, w caller, id string, priority crm.Priority, patience time.Duration) (crm.Deal, error) {
	account, _, err := s.CRM.Account(ctx, w.tenant)
	if err != nil {
		return crm.Deal{}, err
	}
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return account.Deal(crm.WithPriority(short, priority), id)
}

// crmDeal reads a deal, without its contact where the CRM can leave it out.
func (s *Service) crmDeal(ctx context.Context, w caller, id string) (crm.Deal, tenants.Tenant, error) {
	account, tenant, err := s.CRM.Account(ctx, w.tenant)
	if err != nil {
		return crm.Deal{}, tenant, err
	}
	read, err, _ := s.reads.Do(w.tenant.String()+" "+id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		ctx = crm.WithPriority(ctx, crm.Person)
		if reader, ok := account.(crm.DealsReader); ok {
			if deals, err := reader.Deals(ctx, []string{id}); err != nil || deals[id].ID != "" {
				return deals[id], err
			}
		}
		return account.Deal(ctx, id) // says why it is not there
	})
	deal, _ := read.(crm.Deal)
	return deal, tenant, err
}

// GetCard answers GET /card: the deal of the session.
func (s *Service) GetCard(c *gin.Context) {
	w := who(c)
	if w.deal == "" {
		s.fail(c, &bad{"deal_id_missing", "This key is not bound to a deal. Use /deals/{deal_id}."})
		return
	}
	card, err := s.card(c.Request.Context(), w)
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, card)
}

// card is everything the card shows. What the CRM says of the deal is only a help: without it the card still shows
// what is owed and paid.
func (s *Service) card(ctx context.Context, w caller) (api.Card, error) {
	var tenant tenants.Tenant
	held, err := s.peek(ctx, w, w.deal, crm.Person, glimpse)
	known := err == nil
	if crm.ClassOf(err) == crm.Gone && err != nil {
		return api.Card{}, err
	}
	card := api.Card{Title: held.Title, Role: api.Role(w.by.Role), Now: s.Now().UTC(), Methods: []string{}}
	card.Contact = &api.Contact{Name: held.Contact.Name, Phone: held.Contact.Phone, Email: held.Contact.Email}
	err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		if tenant, err = tx.Me(ctx); err != nil {
			return err
		}
		card.Merchant, card.TimeZone = merchant(tenant), tenant.Settings.TimeZone
		if err := s.equip(ctx, tx, w, tenant, &card); err != nil {
			return err
		}
		var deal payments.Deal
		card.Deal, deal, err = s.dealView(ctx, tx, w, w.deal, held.Amount.Currency)
		card.Deal.Drift = driftOf(deal, amountOf(held))
		return err
	})
	if err != nil {
		return card, err
	}
	if !known {
		held = crm.Deal{ID: w.deal}
	}
	card.Defaults, err = s.defaults(ctx, w, tenant, held)
	return card, err
}

// equip adds what the tenant has to work with: acquirers, rates, a mail server.
func (s *Service) equip(ctx context.Context, tx *tenants.Tx, w caller, t tenants.Tenant, card *api.Card) error {
	linked, err := payments.Connections(ctx, tx)
	if err != nil {
		return err
	}
	acquirers := []api.CardAcquirer{}
	for _, l := range linked {
		d := s.Payments.Providers[l.Acquirer].Describe()
		card.Ready, card.Test = true, card.Test || l.Test
		card.Methods = append(card.Methods, d.Name)
		acquirers = append(acquirers, api.CardAcquirer{Acquirer: l.Acquirer, Name: d.Name, Currencies: append([]string{}, d.Currencies...), WholeUnits: d.WholeUnits})
	}
	_, err = payments.MailboxOf(ctx, tx)
	mail := err == nil
	if errors.Is(err, payments.ErrNotFound) {
		err = nil
	}
	card.Me, card.Language, card.Mail = given(string(w.by.Actor)), given(t.Settings.Language), &mail
	card.Acquirers, card.Rates = &acquirers, &t.Settings.Payments.Rates
	return err
}

func merchant(t tenants.Tenant) string {
	if t.Settings.Merchant != "" {
		return t.Settings.Merchant
	}
	if t.Name != "" {
		return t.Name
	}
	return t.Domain
}

// ListExceptions answers GET /exceptions.
func (s *Service) ListExceptions(c *gin.Context) {
	w := who(c)
	after := uuid.Nil
	if text := c.Query("after"); text != "" {
		var err error
		if after, err = uuid.Parse(text); err != nil {
			s.fail(c, &bad{"cursor_unreadable", "after is not a cursor of this list."})
			return
		}
	}
	var page api.ExceptionPage
	err := s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		page.Items, page.Next, err = s.exceptionViews(ctx, tx, w, w.deal, after)
		return err
	})
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, page)
}

// ResolveException answers POST /exceptions/{id}/resolve.
func (s *Service) ResolveException(c *gin.Context) {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		s.fail(c, payments.ErrNotFound)
		return
	}
	w := who(c)
	var in api.ResolveRequest
	if _, err = decode(c, &in); err == nil && w.deal != "" {
		err = s.ofDeal(c.Request.Context(), w, id)
	}
	var view api.Exception
	if err == nil {
		choice := payments.Choice{Decision: in.Decision, Reason: in.Reason, Reference: value(in.Reference), Invoice: value(in.Invoice),
			Method: payments.RefundMethod(value(in.Method))}
		var e payments.Exception
		if e, err = s.Payments.Resolve(c.Request.Context(), w.tenant, w.by, id, choice); err == nil {
			err = s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
				view, err = s.exceptionView(ctx, tx, w, e)
				return err
			})
		}
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, view)
}

// ofDeal refuses an exception of another deal than the session's.
func (s *Service) ofDeal(ctx context.Context, w caller, id uuid.UUID) error {
	return s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		deal, err := payments.ExceptionDeal(ctx, tx, id)
		if err != nil {
			return err
		}
		return w.within(deal)
	})
}

// History answers GET /invoices/{id}/history: the audit trail of one invoice in order.
func (s *Service) History(c *gin.Context) {
	id, err := s.invoiceID(c)
	page := api.AuditPage{Items: []api.AuditEntry{}}
	if err == nil {
		err = s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
			if _, err := payments.Get(ctx, tx, id); err != nil {
				return err
			}
			entries, err := tx.Trail(ctx, &id, 0, 500)
			if err != nil {
				return err
			}
			slices.Reverse(entries)
			page.Items, err = entryViews(ctx, tx, entries)
			return err
		})
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, page)
}
