package payments_test

import (
	"context"
	"testing"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/stretchr/testify/require"
)

// shop is a tenant with a till, and what these tests often ask of it.
type shop struct{ *tilltest.Shop }

func newShop(t *testing.T) *shop { return &shop{tilltest.New(t)} }

// settings changes how the shop takes money.
func (s *shop) settings(change func(*tenants.PaymentSettings)) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		me, err := tx.Me(ctx)
		require.NoError(s, err)
		change(&me.Settings.Payments)
		return tx.SetSettings(ctx, me.Settings, s.By.Actor)
	})
}

// exceptions are the kinds of open exceptions.
func (s *shop) exceptions() (kinds []string) {
	s.Helper()
	for _, e := range s.open() {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func (s *shop) open() (all []payments.Exception) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) (err error) {
		all, err = payments.Exceptions(ctx, tx, "", [16]byte{}, 100)
		return err
	})
	return all
}

// decide resolves the only open exception.
func (s *shop) decide(by payments.By, c payments.Choice) error {
	s.Helper()
	all := s.open()
	require.Len(s, all, 1)
	_, err := s.Resolve(s.Context(), s.ID, by, all[0].ID, c)
	return err
}

// planned are what the notes and tasks of a deal tell, in order.
func (s *shop) planned(deal string) (what []string) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		rows, err := tenants.Rows[struct {
			What string `db:"what"`
		}](ctx, tx, `SELECT kind || ':' || (body->>'what') AS what FROM effects WHERE deal_id = $1 ORDER BY n`, deal)
		for _, r := range rows {
			what = append(what, r.What)
		}
		return err
	})
	return what
}
