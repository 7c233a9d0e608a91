package payments_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/ledger"
	"github.com/dealpay/dealpay/payments/register"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/stretchr/testify/require"
)

var tillsColumns = register.Mapping{Delimiter: ",", Encoding: "utf-8", Decimal: ".", Date: "yyyy-mm-dd", Currency: "AMD",
	Columns: register.Columns{Kind: "type", Reference: "order", ProviderRef: "ref", Amount: "amount", Fee: "fee", Date: "settled"},
	Kinds: map[string]register.Kind{"sale": register.Payment, "refund": register.Refund, "payout": register.Payout, "fee": register.Fee,
		"chargeback": register.Chargeback}}

// bring imports a register of the till with these lines: type, order, ref, amount, fee, settled.
func bring(s *tilltest.Shop, lines ...string) payments.Register {
	s.Helper()
	require.NoError(s, s.SaveMapping(s.Context(), s.ID, s.By, "till", tillsColumns))
	r, err := s.Import(s.Context(), s.ID, s.By, "till", []byte("type,order,ref,amount,fee,settled\n"+strings.Join(lines, "\n")))
	require.NoError(s, err)
	return r
}

func TestARegistersFeesAndPayoutsArePosted(t *testing.T) {
	s := tilltest.New(t)
	in, a := s.Sold("1", 100_000)
	_, b := s.Sold("2", 50_000)
	lines := []string{"sale," + a.Reference + ",,1000.00,25.00,2026-03-11", "sale,,T-" + b.Reference + ",500.00,12.50,2026-03-11",
		"sale,STRANGE-1,,70.00,1.00,2026-03-11", "payout,,,1400.00,,2026-03-12", "fee,,,5.00,,2026-03-12", "payout,,,1400.00,,2026-03-12"}
	r := bring(s, lines...)
	require.Equal(t, []any{6, 0, 1, "2026-03-11", "2026-03-12"}, []any{r.Lines, r.Known, r.Unmatched, r.FirstDay.Format("2006-01-02"), r.LastDay.Format("2006-01-02")})
	require.Equal(t, map[string]int64{"acquirer:till AMD": 97_500, "fees AMD": 2_500, "receivable AMD": -100_000}, balances(s, payments.Part{Invoice: in.ID}))
	whole := map[string]int64{"acquirer:till AMD": 150_000 - 4_350 - 280_000, "bank AMD": 280_000, "fees AMD": 4_350, "receivable AMD": -150_000}
	require.Equal(t, whole, balances(s, payments.Part{}))

	require.Equal(t, r.ID, bring(s, lines...).ID, "the same file again is the same import")
	later := bring(s, append(lines, "payout,,,3.00,,2026-03-13")...)
	require.Equal(t, []int{1, 6}, []int{later.Lines, later.Known})
	whole["acquirer:till AMD"], whole["bank AMD"] = whole["acquirer:till AMD"]-300, whole["bank AMD"]+300
	require.Equal(t, whole, balances(s, payments.Part{}), "what an earlier register held is not posted twice")

	var kinds []string
	for _, m := range movements(s, "2026-03-11", "2026-03-13") {
		kinds = append(kinds, fmt.Sprintf("%s %s %d %d %s", m.Kind, m.Acquirer, m.Fee, m.Payout, m.DealID))
	}
	require.ElementsMatch(t, []string{"fee till 2500 0 1", "fee till 1250 0 2", "fee till 100 0 ", "fee till 500 0 ",
		"payout till 0 140000 ", "payout till 0 140000 ", "payout till 0 300 "}, kinds)
}

func TestWhatARegisterTellsOfALockedMonthIsPostedToTheOpenOne(t *testing.T) {
	s := tilltest.New(t)
	_, err := s.Lock(t.Context(), s.ID, s.By, day("2026-02-01"))
	require.NoError(t, err)
	bring(s, "fee,,,5.00,,2026-02-27", "payout,,,9.00,,2026-03-02")
	var days []string
	for _, m := range movements(s, "2026-01-01", "2026-03-31") {
		days = append(days, string(m.Kind)+" "+m.Day.Format("2006-01-02"))
	}
	require.Equal(t, []string{string(ledger.Fee) + " 2026-03-01", string(ledger.Payout) + " 2026-03-02"}, days)
}

func TestARegisterComesInWholeOrNotAtAll(t *testing.T) {
	s := tilltest.New(t)
	_, err := s.Import(t.Context(), s.ID, s.By, "till", []byte("x"))
	require.ErrorContains(t, err, "mapping_missing")
	require.NoError(t, s.SaveMapping(t.Context(), s.ID, s.By, "till", tillsColumns))
	const head = "type,order,ref,amount,fee,settled\n"
	many := strings.Repeat("fee,,,5.00,,2026-03-12\n", 2_500)
	for text, want := range map[string]string{
		"type,order\n":                     "no column",
		head:                               "register_empty",
		head + "gift,,,5.00,,2026-03-12\n": "register_empty",
		head + many + "fee,,,5.00.0,,2026-03-12\n":             "Line 2502",
		head + strings.Repeat("fee,,,5,,2026-03-12\n", 20_001): "register_too_long",
	} {
		_, err := s.Import(t.Context(), s.ID, s.By, "till", []byte(text))
		require.ErrorIs(t, err, payments.ErrInvalid)
		require.ErrorContains(t, err, want)
	}
	require.Empty(t, balances(s, payments.Part{}))
	_, err = s.Import(t.Context(), s.ID, s.By, "till", []byte(head+many))
	require.NoError(t, err)
	require.Equal(t, int64(2_500*500), balances(s, payments.Part{})["fees AMD"], "equal lines of one file are different fees")
}

func TestOnlyBookkeepersBringRegisters(t *testing.T) {
	s := tilltest.New(t)
	manager := payments.By{Actor: "user:3", Role: tenants.Manager}
	require.ErrorIs(t, s.SaveMapping(t.Context(), s.ID, manager, "till", tillsColumns), payments.ErrRole)
	require.ErrorIs(t, s.SaveMapping(t.Context(), s.ID, s.By, "nobody", tillsColumns), payments.ErrNotFound)
	require.ErrorIs(t, s.SaveMapping(t.Context(), s.ID, s.By, "till", register.Mapping{}), payments.ErrInvalid)
	_, err := s.Import(t.Context(), s.ID, manager, "till", nil)
	require.ErrorIs(t, err, payments.ErrRole)

	_, a := s.Sold("1", 100_000)
	first := s.ID
	s.ID = tenantstest.Tenant(t, s.Fixture, "kommo", "other")
	r := bring(s, "sale,"+a.Reference+",,1000.00,25.00,2026-03-11")
	require.Equal(t, 1, r.Unmatched, "an attempt of another tenant")
	s.ID = first
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		var lines int
		require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FROM register_lines`).Scan(&lines))
		require.Zero(t, lines)
		return nil
	})
}

func TestALongRegisterOfAYoungTenantTakesSeconds(t *testing.T) {
	s := tilltest.New(t)
	lines := make([]string, 20_000)
	for i := range lines {
		lines[i] = fmt.Sprintf("sale,FAR-%d,,5.00,0.10,2026-03-11", i)
	}
	require.NoError(t, s.SaveMapping(t.Context(), s.ID, s.By, "till", tillsColumns))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	file := "type,order,ref,amount,fee,settled\n" + strings.Join(lines, "\n")
	r, err := s.Import(ctx, s.ID, s.By, "till", []byte(file))
	require.NoError(t, err)
	require.Equal(t, []int{20_000, 20_000}, []int{r.Lines, r.Unmatched})
	require.Equal(t, map[string]int64{"acquirer:till AMD": -200_000, "fees AMD": 200_000}, balances(s, payments.Part{}))
	_, err = s.Import(ctx, s.ID, s.By, "till", []byte(file+"\nsale,ONE-MORE,,5.00,,2026-03-11"))
	var too *payments.Invalid
	require.ErrorAs(t, err, &too)
	require.Equal(t, "register_too_long", too.Code)
}

func TestLinesThatNobodyMappedAreSaidAndComeInOnceTheyAre(t *testing.T) {
	s := tilltest.New(t)
	_, a := s.Sold("1", 100_000)
	lines := []string{"sale," + a.Reference + ",,1000.00,25.00,2026-03-11", "bonus,,,7.00,,2026-03-11", "bonus,,,8.00,,2026-03-11", "rent,,,9.00,,2026-03-12"}
	r := bring(s, lines...)
	require.Equal(t, register.Skipped{"bonus": 2, "rent": 1}, r.Skipped)
	require.Equal(t, [2]int{1, 0}, [2]int{r.Lines, r.Unmatched})
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		list, err := payments.Registers(ctx, tx, nil, 10)
		require.Equal(t, r.Skipped, list[0].Skipped)
		return err
	})
	require.Equal(t, int64(2_500), balances(s, payments.Part{})["fees AMD"])

	mapping := tillsColumns
	mapping.Kinds = map[string]register.Kind{"sale": register.Payment, "bonus": register.Fee}
	require.NoError(t, s.SaveMapping(t.Context(), s.ID, s.By, "till", mapping))
	file := []byte("type,order,ref,amount,fee,settled\n" + strings.Join(lines, "\n"))
	for range 2 {
		again, err := s.Import(t.Context(), s.ID, s.By, "till", file)
		require.NoError(t, err)
		require.Equal(t, r.ID, again.ID, "it is the same register")
		require.Equal(t, register.Skipped{"rent": 1}, again.Skipped)
		require.Equal(t, 3, again.Lines)
		require.Equal(t, int64(2_500+1_500), balances(s, payments.Part{})["fees AMD"], "what it held already is posted once")
	}
	mapping.Kinds = map[string]register.Kind{"sale": register.Payment, "bonus": register.Payout, "rent": register.Fee}
	require.NoError(t, s.SaveMapping(t.Context(), s.ID, s.By, "till", mapping))
	again, err := s.Import(t.Context(), s.ID, s.By, "till", file)
	require.NoError(t, err)
	require.Equal(t, [2]int{4, 0}, [2]int{again.Lines, again.Skipped.Total()})
	require.Equal(t, int64(2_500+1_500+900), balances(s, payments.Part{})["fees AMD"])
	require.Zero(t, balances(s, payments.Part{})["bank AMD"], "what was taken in as something stays that")
}
