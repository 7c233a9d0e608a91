package amo

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/dealpay/dealpay/crm"
)

// lead is a deal as the CRM writes it (amocrm.ru "Leads").
type lead struct {
	ID          scalar        `json:"id"`
	Name        scalar        `json:"name"`
	Price       scalar        `json:"price"` // whole major units
	PriceMinor  scalar        `json:"price_with_minor_units"`
	Responsible scalar        `json:"responsible_user_id"`
	Group       scalar        `json:"group_id"`
	Status      scalar        `json:"status_id"`
	Pipeline    scalar        `json:"pipeline_id"`
	Deleted     bool          `json:"is_deleted"`
	Fields      []fieldValues `json:"custom_fields_values"`
	Embedded    struct {
		Contacts []contactLink `json:"contacts"`
	} `json:"_embedded"`
}

type contactLink struct {
	ID   scalar `json:"id"`
	Main bool   `json:"is_main"`
}

// mainContact is the id of the lead's main contact, or of the first when none is marked.
func (l lead) mainContact() string {
	id := scalar("")
	for _, c := range l.Embedded.Contacts {
		if id == "" || c.Main {
			id = c.ID
		}
	}
	return string(id)
}

// The stages that every pipeline has and nobody can change.
const (
	stageWon  = "142"
	stageLost = "143"
)

func kindOf(stage scalar) crm.StageKind {
	switch stage {
	case stageWon:
		return crm.StageWon
	case stageLost:
		return crm.StageLost
	}
	return crm.StageOpen
}

// Deal reads a lead with its main contact.
func (a *Account) Deal(ctx context.Context, id string) (crm.Deal, error) {
	l, err := a.lead(ctx, id, "")
	if err != nil {
		return crm.Deal{}, err
	}
	return a.deal(ctx, l)
}

// Deals reads many leads, of their contacts the keys only, a page of them in one request.
func (a *Account) Deals(ctx context.Context, ids []string) (map[string]crm.Deal, error) {
	currency, err := a.accountCurrency(ctx)
	if err != nil {
		return nil, err
	}
	deals := make(map[string]crm.Deal, len(ids))
	for part := range slices.Chunk(slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !isID(id) }), pageSize) {
		leads, err := all[lead](ctx, a, "/leads", "leads", url.Values{"filter[id][]": part, "with": {"contacts"}})
		if err != nil {
			return nil, err
		}
		for _, l := range leads {
			if !l.Deleted {
				deals[string(l.ID)] = a.dealOf(l, currency, crm.Contact{})
			}
		}
	}
	return deals, nil
}

// lead reads one lead, as its administrator or as asUser. A deleted one is answered with 204 or 404.
func (a *Account) lead(ctx context.Context, id, asUser string) (lead, error) {
	c := call{method: http.MethodGet, path: "/leads/" + id, query: url.Values{"with": {"contacts"}}, asUser: asUser}
	if !isID(id) {
		return lead{}, gone(c.op())
	}
	var l lead
	if err := a.do(ctx, c, &l); err != nil {
		return lead{}, a.doubt(ctx, err)
	}
	if l.ID == "" || l.Deleted {
		return lead{}, gone(c.op())
	}
	return l, nil
}

// doubt looks twice at a 404: a renamed account answers it at its old name for everything, which must not read as
// if all its deals were gone.
func (a *Account) doubt(ctx context.Context, err error) error {
	if problemOf(err).status != http.StatusNotFound || crm.ClassOf(err) != crm.Gone {
		return err
	}
	if _, lost := a.account(ctx); lost != nil {
		if crm.ClassOf(lost) != crm.Gone {
			return lost
		}
		return &crm.Error{Class: crm.Transient, Op: "GET /account", Code: noAccount, Err: err}
	}
	return err
}

func (a *Account) deal(ctx context.Context, l lead) (crm.Deal, error) {
	currency, err := a.accountCurrency(ctx)
	if err != nil {
		return crm.Deal{}, err
	}
	contact, err := a.contact(ctx, l)
	if err != nil {
		return crm.Deal{}, err
	}
	return a.dealOf(l, currency, contact), nil
}

func (a *Account) dealOf(l lead, currency string, contact crm.Contact) crm.Deal {
	amount := crm.Money{Decimal: decimal(string(cmp.Or(l.PriceMinor, l.Price)), currency), Currency: currency}
	if strings.Trim(amount.Decimal, "0.") == "" {
		amount = crm.Money{} // a lead without a budget has the price 0
	}
	d := crm.Deal{ID: string(l.ID), Title: string(l.Name), Amount: amount, Pipeline: string(l.Pipeline),
		Stage: string(l.Status), Closed: kindOf(l.Status) != crm.StageOpen, OwnerID: string(l.Responsible),
		Contact: contact, Written: decode(l.Fields, string(l.Pipeline), a.layout)}
	d.Written.Stage = d.Stage
	if id := l.mainContact(); isID(id) {
		d.Contact.Key = "contact " + id
	}
	return d
}

// accountCurrency is the currency of every price in the account.
func (a *Account) accountCurrency(ctx context.Context) (string, error) {
	a.mu.Lock()
	known := a.currency
	a.mu.Unlock()
	if known != "" {
		return known, nil
	}
	info, err := a.account(ctx)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	a.currency = string(info.Currency)
	a.mu.Unlock()
	return string(info.Currency), nil
}

// contact reads the lead's main contact. One that is gone or hidden from us does not hide the deal.
func (a *Account) contact(ctx context.Context, l lead) (crm.Contact, error) {
	id := l.mainContact()
	if !isID(id) {
		return crm.Contact{}, nil
	}
	var got struct {
		Name   scalar        `json:"name"`
		Fields []fieldValues `json:"custom_fields_values"`
	}
	err := a.do(ctx, call{method: http.MethodGet, path: "/contacts/" + id}, &got)
	if class := crm.ClassOf(err); err != nil && class != crm.Gone && class != crm.Refused {
		return crm.Contact{}, err
	}
	c := crm.Contact{Name: string(got.Name)}
	for _, f := range got.Fields {
		switch {
		case len(f.Values) == 0:
		case f.Code == "PHONE":
			c.Phone = string(f.Values[0].Value)
		case f.Code == "EMAIL":
			c.Email = string(f.Values[0].Value)
		}
	}
	return c, nil
}
