package payments_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/stretchr/testify/require"
)

// ranger is a till that gives its merchants order numbers of their own, as their credentials say.
type ranger struct{ *tilltest.Till }

func (r ranger) Describe() payments.Description {
	d := r.Till.Describe()
	for _, key := range []string{"first", "last", "again"} {
		d.Credentials = append(d.Credentials, payments.Credential{Key: key, Label: key, Optional: true})
	}
	return d
}

func (r ranger) Range(c payments.Connection) (payments.Range, bool) {
	given := payments.Range{Merchant: c.Credentials["key"], Again: c.Credentials["again"] != ""}
	_, err := fmt.Sscan(c.Credentials["first"]+" "+c.Credentials["last"], &given.First, &given.Last)
	return given, err == nil
}

// branch is a tenant that is connected to the till as a merchant with this range.
func branch(s *shop, key string, credentials map[string]string) *shop {
	s.Helper()
	other := *s.Shop
	other.ID = tenantstest.Tenant(s.T, s.Fixture, "kommo", key)
	require.NoError(s, s.Connect(s.Context(), other.ID, s.By, "till", credentials, false))
	return &shop{&other}
}

func TestOrderNumbersComeFromTheRangeThatTheMerchantWasGiven(t *testing.T) {
	s := newShop(t)
	s.Providers["till"] = ranger{s.Till}
	first := branch(s, "first", map[string]string{"key": "acme", "first": "501", "last": "503"})
	second := branch(s, "second", map[string]string{"key": "acme", "first": "501", "last": "503"}) // the same merchant, sold to in another CRM
	strange := branch(s, "strange", map[string]string{"key": "oak", "first": "501", "last": "600", "again": "yes"})
	numbers := func(s *shop, deals ...string) (taken []int64) {
		for _, deal := range deals {
			taken = append(taken, s.Try(s.Invoice(deal, 1000)).Number)
		}
		return taken
	}
	require.Equal(t, []int64{501, 502}, numbers(first, "1", "2"))
	require.Equal(t, []int64{501, 502, 503}, numbers(strange, "1", "2", "3"))
	require.Equal(t, []int64{503, 504, 504}, numbers(second, "1", "2", "3"), "what is beyond the range is for the provider to refuse")
	require.NotContains(t, []int64{501, 502, 503, 504}, numbers(s, "1")[0], "without a range our own number serves")

	require.NoError(t, s.Connect(t.Context(), second.ID, s.By, "till", map[string]string{"key": "acme", "first": "501", "last": "700"}, false))
	require.Equal(t, []int64{505}, numbers(second, "4"), "a longer range goes on where the shorter one ended")
	require.NoError(t, s.Connect(t.Context(), strange.ID, s.By, "till", map[string]string{"key": "oak", "first": "501", "last": "503", "again": "yes"}, false))
	require.Equal(t, []int64{501}, numbers(strange, "4"), "test money begins again")

	in := first.Invoice("9", 1000)
	require.NoError(t, s.Disconnect(t.Context(), first.ID, s.By, "till"))
	require.NoError(t, s.Connect(t.Context(), first.ID, s.By, "till", map[string]string{"key": "acme", "first": "501", "last": "700"}, false))
	require.Equal(t, int64(506), first.Try(in).Number, "connected anew it is the same merchant")
}

func TestARegisterFindsAnOrderByItsNumberInTheRange(t *testing.T) {
	s := newShop(t)
	s.Providers["till"] = ranger{s.Till}
	other := branch(s, "other", map[string]string{"key": "acme", "first": "2350301", "last": "2350400"})
	_, a := other.Sold("1", 100_000)
	require.EqualValues(t, 2350301, a.Number)
	r := bring(other.Shop, "sale,2350301,,1000.00,25.00,2026-03-11", "sale,2350302,,1000.00,,2026-03-11")
	require.Equal(t, []int{2, 1}, []int{r.Lines, r.Unmatched})
	other.In(func(ctx context.Context, tx *tenants.Tx) error {
		var own int64
		err := tx.QueryRow(ctx, `SELECT number FROM attempts WHERE id = $1`, a.ID).Scan(&own)
		require.NotEqual(t, a.Number, own)
		return err
	})
}
