package payments_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/stretchr/testify/require"
)

// drams is a till that takes whole dram only.
type drams struct{ *tilltest.Till }

func (d drams) Describe() payments.Description {
	all := d.Till.Describe()
	all.Name, all.Currencies, all.WholeUnits = "Drams", []string{"AMD"}, true
	return all
}

// dramShop takes whole dram only.
func dramShop(t *testing.T) *shop {
	s := newShop(t)
	s.Providers["till"] = drams{s.Till}
	return s
}

func TestADealInDollarsIsPaidInDram(t *testing.T) {
	s := dramShop(t)
	_, err := s.Create(t.Context(), s.ID, s.By, s.request("1", tilltest.USD(10_050)))
	require.ErrorIs(t, err, payments.ErrNoAcquirer, "nobody knows the rate")
	s.settings(func(p *tenants.PaymentSettings) { p.Rates = map[string]string{"USD/AMD": "387.55"} })
	in, err := s.Create(t.Context(), s.ID, s.By, s.request("1", tilltest.USD(10_050)))
	require.NoError(t, err)
	require.Equal(t, tilltest.AMD(3_894_900), in.Amount(), "100.50 dollars are 38,948.775 dram, in whole ones 38,949")
	require.Equal(t, [3]any{tilltest.USD(10_050), "387.55", "table"}, [3]any{in.Claim(), in.Rate, in.RateFrom})

	s.settings(func(p *tenants.PaymentSettings) { p.Rates["USD/AMD"] = "400" })
	a := s.Try(in)
	require.Equal(t, int64(3_894_900), a.Minor, "the rate is frozen on the invoice")
	s.Learn(a, tilltest.Took(tilltest.AMD(3_894_900)))
	d := s.deal("1")
	require.Equal(t, "USD", d.Currency)
	require.Equal(t, [3]int64{10_050, 10_050, 0}, [3]int64{d.Balance.Due, d.Balance.Paid, d.Balance.Outstanding}, "the balance stays in the deal's currency")

	by := s.request("1", tilltest.USD(5_000))
	by.Exchange = &payments.Exchange{Currency: "AMD", Rate: "390.1"}
	in, err = s.Create(t.Context(), s.ID, s.By, by)
	require.NoError(t, err)
	require.Equal(t, [3]any{tilltest.AMD(1_950_500), "390.1", "manager"}, [3]any{in.Amount(), in.Rate, in.RateFrom})
	_, err = s.Create(t.Context(), s.ID, s.By, s.request("1", tilltest.AMD(5_000)))
	require.ErrorIs(t, err, payments.ErrInvalid, "one deal, one currency")
	for _, rate := range []string{"0", "-1", "1e3", "NaN", "1/3", "", "12345678901", "387,5"} {
		by.Exchange.Rate = rate
		if rate == "" {
			continue // the table's
		}
		_, err = s.Create(t.Context(), s.ID, s.By, by)
		require.ErrorIs(t, err, payments.ErrInvalid, rate)
	}
}

func TestAnInvoiceIsInItsDealsCurrency(t *testing.T) {
	s := newShop(t)
	create := func(deal string, whole, amount payments.Money, by *payments.Exchange) error {
		in := s.request(deal, amount)
		in.Whole, in.Exchange = whole, by
		_, err := s.Create(t.Context(), s.ID, s.By, in)
		return err
	}
	refused := func(err error) {
		t.Helper()
		var why *payments.Invalid
		require.ErrorAs(t, err, &why)
		require.Equal(t, "currency_not_the_deals", why.Code)
		require.Contains(t, why.Detail, "This deal is in AMD. Give the amount in AMD")
	}
	whole := tilltest.AMD(1_000_000)
	refused(create("1", whole, tilltest.USD(10_000), nil))
	refused(create("1", tilltest.AMD(0), tilltest.USD(10_000), nil)) // a deal without an amount has a currency
	require.Equal(t, payments.Deal{ID: "1"}, s.deal("1"))
	require.NoError(t, create("1", whole, tilltest.AMD(400_000), &payments.Exchange{Currency: "USD", Rate: "0.0025"}))
	d := s.deal("1")
	require.Equal(t, []any{"AMD", int64(400_000), tilltest.USD(1_000)}, []any{d.Currency, d.Balance.Due, d.Invoices[0].Amount()})

	require.NoError(t, create("2", payments.Money{}, tilltest.USD(10_000), nil), "nobody knows the deal's currency")
	require.NoError(t, create("2", whole, tilltest.USD(5_000), nil), "it was learnt, or changed, when the balance was in another")
	in := s.deal("2").Invoices[0]
	_, err := s.Cancel(t.Context(), s.ID, s.By, s.deal("2").Invoices[1].ID)
	require.NoError(t, err)
	_, err = s.Replace(t.Context(), s.ID, s.By, in.ID, payments.NewInvoice{Terms: payments.Terms{ExpiresAt: s.Clock.Add(time.Hour)}})
	refused(err)
	_, err = s.Replace(t.Context(), s.ID, s.By, in.ID, payments.NewInvoice{Terms: payments.Terms{Amount: tilltest.AMD(5_000), ExpiresAt: s.Clock.Add(time.Hour)}})
	require.NoError(t, err)
	require.Equal(t, "AMD", s.deal("2").Currency)
}

func TestAnEditedAmountIsConvertedAtTheFrozenRate(t *testing.T) {
	s := dramShop(t)
	s.settings(func(p *tenants.PaymentSettings) { p.Rates = map[string]string{"USD/AMD": "400"} })
	in, err := s.Create(t.Context(), s.ID, s.By, s.request("1", tilltest.USD(10_000)))
	require.NoError(t, err)
	s.settings(func(p *tenants.PaymentSettings) { p.Rates["USD/AMD"] = "500" })
	in, err = s.Edit(t.Context(), s.ID, s.By, in.ID, payments.Terms{Amount: tilltest.USD(5_000)})
	require.NoError(t, err)
	require.Equal(t, [3]any{tilltest.AMD(2_000_000), tilltest.USD(5_000), int64(2_000_000)}, [3]any{in.Amount(), in.Claim(), in.Outstanding})
	_, err = s.Edit(t.Context(), s.ID, s.By, in.ID, payments.Terms{Amount: tilltest.AMD(5_000)})
	require.ErrorIs(t, err, payments.ErrInvalid)
}

func TestPartsAddUpInBothCurrencies(t *testing.T) {
	s := dramShop(t)
	s.settings(func(p *tenants.PaymentSettings) { p.Rates = map[string]string{"USD/AMD": "387.55"} })
	made, err := s.Plan(t.Context(), s.ID, s.By, payments.NewPlan{NewInvoice: s.request("1", tilltest.USD(10_000)),
		Parts: []payments.Share{{Percent: "33.33"}, {Percent: "33.33"}, {}}})
	require.NoError(t, err)
	var charged, claimed int64
	for _, in := range made {
		require.Zero(t, in.Minor%100, "whole dram")
		charged, claimed = charged+in.Minor, claimed+in.Claim().Minor
	}
	require.Equal(t, [2]int64{3_875_500, 10_000}, [2]int64{charged, claimed})
	s.Learn(s.Try(made[0]), tilltest.Took(made[0].Amount()))
	d := s.deal("1")
	require.Equal(t, [3]int64{10_000, 3_333, 6_667}, [3]int64{d.Balance.Due, d.Balance.Paid, d.Balance.Outstanding})
}

func TestRoutesChooseTheAcquirer(t *testing.T) {
	s := newShop(t)
	for _, name := range []string{"euro", "second"} {
		s.Providers[name] = s.Till
		require.NoError(t, s.Connect(t.Context(), s.ID, s.By, name, map[string]string{"key": "k"}, false))
	}
	methods := func(pipeline string, amount payments.Money) []string {
		in := s.request(pipeline+amount.Currency, amount)
		in.Pipeline = pipeline
		made, err := s.Create(t.Context(), s.ID, s.By, in)
		require.NoError(t, err)
		v, err := s.VisitOf(t.Context(), s.ID, made.ID)
		require.NoError(t, err)
		return v.Methods
	}
	require.Equal(t, []string{"till", "euro", "second"}, methods("p0", tilltest.AMD(100)), "without routes all that take it, the first connected first")
	routes := []tenants.Route{{Currency: "EUR", Acquirers: []string{"euro"}}, {Pipeline: "7", Acquirers: []string{"second", "till"}}, {Acquirers: []string{"till"}}}
	require.NoError(t, s.CheckRoutes(routes))
	s.settings(func(p *tenants.PaymentSettings) { p.Routes = routes })
	require.Equal(t, []string{"euro"}, methods("7", payments.Money{Minor: 100, Currency: "EUR"}), "by currency first")
	require.Equal(t, []string{"second", "till"}, methods("7", tilltest.AMD(100)), "then by pipeline, in the route's order")
	require.Equal(t, []string{"till"}, methods("8", tilltest.AMD(100)), "then what is left")
	require.ErrorIs(t, s.CheckRoutes([]tenants.Route{{Acquirers: []string{"nobody"}}}), payments.ErrInvalid)

	in := s.request("9", tilltest.AMD(100))
	made, err := s.Create(t.Context(), s.ID, s.By, in)
	require.NoError(t, err)
	_, err = s.Pay(t.Context(), s.ID, made.ID, "token", "second", "en")
	require.ErrorIs(t, err, payments.ErrNoAcquirer, "the page cannot be made to use another method than it offers")
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		var n int
		err := tx.QueryRow(ctx, `SELECT count(*) FROM attempts`).Scan(&n)
		require.Zero(t, n)
		return err
	})
}

// FuzzParseRate gives any text as a rate: what is taken is a positive number that is written as it was given.
func FuzzParseRate(f *testing.F) {
	for _, seed := range []string{"387.5", "0", "1e9", "-1", "1/3", "+2", "0x10", "999999999.9999999999", ".5", "5.", "1_0", "\u0661"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := payments.ParseRate(text)
		if err != nil {
			require.ErrorIs(t, err, payments.ErrInvalid)
			return
		}
		require.Positive(t, rate.Sign())
		require.Equal(t, -1, strings.IndexFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }), text)
	})
}

// The table's rate is for a currency whose route is not the first.
func TestTheTablesRateIsFoundBehindEveryRoute(t *testing.T) {
	s := dramShop(t)
	s.Providers["other"] = s.Till
	require.NoError(t, s.Connect(t.Context(), s.ID, s.By, "other", map[string]string{"key": "k"}, false))
	s.settings(func(p *tenants.PaymentSettings) {
		p.Rates = map[string]string{"CHF/AMD": "430"}
		p.Routes = []tenants.Route{{Currency: "EUR", Acquirers: []string{"other"}}, {Currency: "AMD", Acquirers: []string{"till"}}, {Currency: "CHF", Acquirers: []string{"till"}}}
	})
	in, err := s.Create(t.Context(), s.ID, s.By, s.request("1", payments.Money{Minor: 10_000, Currency: "CHF"}))
	require.NoError(t, err)
	require.Equal(t, tilltest.AMD(4_300_000), in.Amount())
}
