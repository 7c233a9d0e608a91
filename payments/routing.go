package payments

import (
	"context"
	"errors"
	"slices"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
)

// candidates lists the connected acquirers that the tenant's routes allow for a currency and pipeline, the preferred
// first; without a currency all of them. A named acquirer is the only candidate, whatever the routes say.
func (s *Service) candidates(ctx context.Context, tx *tenants.Tx, pipeline, currency, acquirer string) ([]Linked, error) {
	all, err := Connections(ctx, tx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(l Linked) bool {
		_, known := s.Providers[l.Acquirer]
		return !known || (acquirer != "" && acquirer != l.Acquirer)
	})
	if acquirer != "" || currency == "" {
		return all, nil
	}
	me, err := tx.Me(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range me.Settings.Payments.Routes {
		if (r.Currency == "" || r.Currency == currency) && (r.Pipeline == "" || r.Pipeline == pipeline) {
			return chosen(all, r.Acquirers), nil
		}
	}
	return all, nil
}

// chosen are the connections of these acquirers, in this order.
func chosen(all []Linked, acquirers []string) []Linked {
	var list []Linked
	for _, name := range acquirers {
		for _, l := range all {
			if l.Acquirer == name {
				list = append(list, l)
			}
		}
	}
	return list
}

// offered lists the acquirers that can be asked for this amount, the preferred first.
func (s *Service) offered(ctx context.Context, tx *tenants.Tx, pipeline string, amount Money, acquirer string) ([]Linked, error) {
	list, err := s.candidates(ctx, tx, pipeline, amount.Currency, acquirer)
	return slices.DeleteFunc(list, func(l Linked) bool { return !s.takes(l.Acquirer, amount) }), err
}

// route chooses the acquirer for an amount: the named one, or the preferred one that takes it. Error: ErrNoAcquirer.
func (s *Service) route(ctx context.Context, tx *tenants.Tx, pipeline string, amount Money, acquirer string) (Linked, error) {
	list, err := s.offered(ctx, tx, pipeline, amount, acquirer)
	if err == nil && len(list) == 0 {
		err = ErrNoAcquirer
	}
	if err != nil {
		return Linked{}, err
	}
	return list[0], nil
}

// unit is the smallest amount, in minor units, that every acquirer for this currency can take: a whole unit when one of
// them refuses fractions. Where the whole is known (not 0) and some can take it, the others are left out. Error: ErrNoAcquirer
// when none takes the currency.
func (s *Service) unit(ctx context.Context, tx *tenants.Tx, pipeline, currency, acquirer string, whole int64) (int64, error) {
	list, err := s.candidates(ctx, tx, pipeline, currency, acquirer)
	if err != nil {
		return 0, err
	}
	unit, found, fine := int64(1), false, false
	for _, l := range list {
		d := s.Providers[l.Acquirer].Describe()
		if len(d.Currencies) > 0 && !slices.Contains(d.Currencies, currency) {
			continue
		}
		found = true
		exponent, ok := state.Exponent(currency)
		if ok && d.WholeUnits {
			unit = power(exponent).Int64()
		} else {
			fine = true
		}
	}
	if !found {
		return 0, ErrNoAcquirer
	}
	if fine && whole%unit != 0 {
		unit = 1
	}
	return unit, nil
}

// CheckRoutes refuses routes that name currencies or acquirers nobody knows.
func (s *Service) CheckRoutes(routes []tenants.Route) error {
	for _, r := range routes {
		if _, ok := state.Exponent(r.Currency); r.Currency != "" && !ok {
			return invalid("currency_unknown", "The currency %q is not known here.", r.Currency)
		}
		if !fit(r.Pipeline, 100) || len(r.Acquirers) > len(s.Providers) || len(routes) > 100 {
			return invalid("route_unusable", "A tenant has 100 routes at most, each with every acquirer once and a pipeline of the CRM.")
		}
		if len(r.Acquirers) == 0 {
			return invalid("route_empty", "Choose at least one acquirer for each route.")
		}
		for _, name := range r.Acquirers {
			if _, known := s.Providers[name]; !known {
				return invalid("acquirer_unknown", "There is no acquirer %q.", name)
			}
		}
	}
	return nil
}

// offers refuses a method that the pay page does not offer for this invoice. Error: ErrNoAcquirer.
func (s *Service) offers(ctx context.Context, tx *tenants.Tx, in Invoice, p state.Picture, acquirer string) error {
	if acquirer == "" {
		return nil
	}
	list, err := s.offered(ctx, tx, in.Pipeline, Money{Minor: p.Outstanding, Currency: in.Currency}, in.Acquirer)
	if err == nil && !slices.ContainsFunc(list, func(l Linked) bool { return l.Acquirer == acquirer }) {
		err = ErrNoAcquirer
	}
	return err
}

// CheckSettings refuses settings that cannot be used. Error: Invalid.
func (s *Service) CheckSettings(p tenants.PaymentSettings) error {
	for currency, minor := range p.RefundLimits {
		if _, ok := state.Exponent(currency); !ok || minor < 0 || minor > state.MaxMinor {
			return invalid("refund_limit_unusable", "The limit for %q is not an amount in a known currency.", currency)
		}
	}
	return errors.Join(s.CheckRoutes(p.Routes), CheckRates(p.Rates), CheckTemplates(p.Templates))
}
