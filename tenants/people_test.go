package tenants_test

import (
	"context"
	"testing"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestPeopleKeepTheRoleTheyWereGiven(t *testing.T) {
	f := tenantstest.DB(t)
	a, b := tenantstest.Tenant(t, f, "kommo", "a"), tenantstest.Tenant(t, f, "kommo", "b")
	now := time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC)
	meet := func(id tenants.ID, p tenants.Person) (met tenants.Person) {
		in(t, f, id, func(ctx context.Context, tx *tenants.Tx) (err error) {
			met, err = tx.Meet(ctx, p)
			return err
		})
		return met
	}
	ani := tenants.Person{ID: "7", Name: "Ani", SeenAt: now}
	require.Equal(t, tenants.Manager, meet(a, ani).May())
	require.Equal(t, tenants.Admin, meet(a, tenants.Person{ID: "1", Name: "Boss", Chief: true, SeenAt: now}).May())
	in(t, f, a, func(ctx context.Context, tx *tenants.Tx) error {
		p, err := tx.SetRole(ctx, "7", tenants.Accountant, "user:1", now)
		require.Equal(t, []any{tenants.Accountant, tenants.Actor("user:1")}, []any{p.May(), p.ChangedBy})
		require.NoError(t, err)
		_, err = tx.SetRole(ctx, "7", tenants.Accountant, "user:2", now)
		require.NoError(t, err)
		trail, err := tx.Find(ctx, tenants.Search{Action: "person"}, 10)
		require.Len(t, trail, 1, "what changes nothing is not noted")
		require.JSONEq(t, `{"user": "7", "before": "manager", "after": "accountant"}`, string(trail[0].Evidence))
		return err
	})
	ani.Name, ani.SeenAt = "", now.Add(time.Minute)
	require.Equal(t, tenants.Person{ID: "7", Name: "Ani", Role: tenants.Accountant, SeenAt: now, ChangedBy: "user:1"}, utc(meet(a, ani)), "a minute later nothing is written")
	ani.Chief = true
	require.Equal(t, tenants.Admin, meet(a, ani).May(), "the CRM made them an administrator")
	ani.Chief, ani.Name, ani.SeenAt = false, "Ani K.", now.Add(2*time.Hour)
	require.Equal(t, tenants.Person{ID: "7", Name: "Ani K.", Role: tenants.Accountant, SeenAt: ani.SeenAt, ChangedBy: "user:1"}, utc(meet(a, ani)))
	in(t, f, b, func(ctx context.Context, tx *tenants.Tx) error {
		people, err := tx.People(ctx)
		require.NoError(t, err)
		require.Empty(t, people)
		_, err = tx.SetRole(ctx, "7", tenants.Admin, "user:1", now)
		require.ErrorIs(t, err, pgx.ErrNoRows)
		return nil
	})
}

func utc(p tenants.Person) tenants.Person {
	p.SeenAt = p.SeenAt.UTC()
	return p
}

func TestTheTrailIsSearched(t *testing.T) {
	f := tenantstest.DB(t)
	id := tenantstest.Tenant(t, f, "kommo", "a")
	day := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	in(t, f, id, func(ctx context.Context, tx *tenants.Tx) error {
		for i, e := range []tenants.Entry{{Actor: "user:1", Action: "invoice.sent", DealID: "4"}, {Actor: "user:12", Action: "invoice.cancelled", DealID: "5"},
			{Actor: "key:site", Action: "refund.asked", DealID: "4"}, {Actor: "user:1", Action: "invoices", DealID: "4"}} {
			e.At = day.AddDate(0, 0, i)
			if err := tx.Audit(ctx, e, nil); err != nil {
				return err
			}
		}
		for _, c := range []struct {
			search tenants.Search
			want   []string
		}{
			{tenants.Search{}, []string{"invoices", "refund.asked", "invoice.cancelled", "invoice.sent"}},
			{tenants.Search{Actor: "user:1"}, []string{"invoices", "invoice.sent"}},
			{tenants.Search{Actor: "user"}, []string{"invoices", "invoice.cancelled", "invoice.sent"}},
			{tenants.Search{Action: "invoice"}, []string{"invoice.cancelled", "invoice.sent"}},
			{tenants.Search{Action: "invoice.sent"}, []string{"invoice.sent"}},
			{tenants.Search{Deal: "4", Actor: "key"}, []string{"refund.asked"}},
			{tenants.Search{Since: day.AddDate(0, 0, 1), Until: day.AddDate(0, 0, 3)}, []string{"refund.asked", "invoice.cancelled"}},
		} {
			found, err := tx.Find(ctx, c.search, 10)
			require.NoError(t, err)
			actions := []string{}
			for _, e := range found {
				actions = append(actions, e.Action)
			}
			require.Equal(t, c.want, actions, "%+v", c.search)
		}
		first, err := tx.Find(ctx, tenants.Search{}, 2)
		require.NoError(t, err)
		rest, err := tx.Find(ctx, tenants.Search{Before: first[1].ID}, 10)
		require.Len(t, rest, 2)
		return err
	})
}
