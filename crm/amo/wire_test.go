package amo

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dealpay/dealpay/crm"
)

func TestAmountsAreReadWithoutLosingADigit(t *testing.T) {
	for _, c := range [][3]string{
		{"12", "RUB", "12.00"}, {"300.99", "RUB", "300.99"}, {"150000.00", "AMD", "150000.00"}, {"1500.00", "JPY", "1500"},
		{"1.5", "KWD", "1.500"}, {"0.125", "RUB", "0.125"}, {"0", "RUB", "0.00"}, {"-7.5", "RUB", "-7.50"},
		{"1.0e+15", "RUB", "1000000000000000.00"}, {"9.99999999999999e7", "RUB", "99999999.9999999"}, {"007", "RUB", "7.00"},
		{"12", "", "12.00"}, {"", "RUB", ""}, {"1,5", "RUB", ""}, {"abc", "RUB", ""}, {"1e99", "RUB", ""}, {".5", "RUB", ""},
		{"1e-7", "RUB", ""}, {"NaN", "RUB", ""},
	} {
		require.Equal(t, c[2], decimal(c[0], c[1]), "%v", c)
	}
}

func TestAnAmountReadTwiceStaysTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minor := rapid.Int64Range(0, 1_000_000_000_000).Draw(t, "minor")
		text := fmt.Sprintf("%d.%02d", minor/100, minor%100)
		require.Equal(t, text, decimal(text, "AMD"))
		require.Equal(t, text, decimal(decimal(text, "AMD"), "AMD"))
	})
}

func TestOddValuesDoNotMakeAnAnswerUnreadable(t *testing.T) {
	var l lead
	body := `{"id": 7, "name": null, "price": "12", "_embedded": [], "is_deleted": 0, "custom_fields_values": [
		{"field_code": "DEALPAY_STATUS", "values": [{"value": {"odd": 1}, "enum_code": "paid"}]},
		{"field_code": "DEALPAY_PAID", "values": null}, {"field_code": "X", "values": [{"value": true}]}]}`
	require.NoError(t, unmarshal([]byte(body), &l))
	require.Equal(t, scalar("7"), l.ID)
	require.Equal(t, scalar("12"), l.Price)
	require.Equal(t, crm.Paid, decode(l.Fields, "", layout{}).Status)
	require.Error(t, unmarshal([]byte(`{"id": `), &l))
}

func TestAStateIsReadBackAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		currency := rapid.SampledFrom([]string{"AMD", "RUB", "JPY", "KWD"}).Draw(t, "currency")
		money := func(name string) crm.Money {
			d := rapid.StringMatching(`([1-9][0-9]{0,9}(\.[0-9]{1,2})?)?`).Draw(t, name)
			if d == "" {
				return crm.Money{}
			}
			return crm.Money{Decimal: decimal(d, currency), Currency: currency}
		}
		at := time.Unix(rapid.Int64Range(1, 4e9).Draw(t, "at"), 0).UTC()
		want := crm.State{Status: rapid.SampledFrom(crm.Statuses).Draw(t, "status"), Paid: money("paid"),
			Refunded: money("refunded"), Outstanding: money("outstanding"), PaidAt: at, Link: "https://pay.example.com/p/1",
			Reference: rapid.String().Draw(t, "reference")}
		fields, ok := encode(want)
		require.True(t, ok)
		raw, err := json.Marshal(fields)
		require.NoError(t, err)
		var back []fieldValues
		require.NoError(t, json.Unmarshal(raw, &back))
		require.Equal(t, want, decode(back, "", layout{}))
	})
}

func TestAmountsOfDifferentCurrenciesAreNotWritten(t *testing.T) {
	_, ok := encode(crm.State{Paid: crm.Money{Decimal: "1.00", Currency: "AMD"}, Refunded: crm.Money{Decimal: "1.00", Currency: "RUB"}})
	require.False(t, ok)
}

func TestTheStatusIsReadByCodeIDOrWords(t *testing.T) {
	l := layout{Fields: map[string]field{"status": {Enums: map[string]string{"expired": "31"}}}}
	require.Equal(t, crm.Paid, statusOf(value{EnumCode: "paid"}, l))
	require.Equal(t, crm.Expired, statusOf(value{EnumID: "31"}, l))
	require.Equal(t, crm.Refunded, statusOf(value{Value: "Возвращено"}, l))
	require.Empty(t, statusOf(value{Value: "something else", EnumID: "9"}, l))
}

func TestAReferenceIsFoundOnlyWhole(t *testing.T) {
	for text, want := range map[string]bool{"DP-4F2K": true, "paid (DP-4F2K).": true, "DP-4F2K\nmore": true, "DP-4F2K9Q": false,
		"XDP-4F2K": false, "DP-4F2K9Q and DP-4F2K": true, "DP-4F2K-2": false, "": false} {
		require.Equal(t, want, mentions(text, "DP-4F2K"), text)
	}
}

func TestHostsOfOtherProductsAreNotOurs(t *testing.T) {
	for host, want := range map[string]bool{"acme.amocrm.ru": true, "acme.amocrm.com": true, "www.amocrm.ru": false,
		"amocrm.ru": false, "acme.kommo.com": false, "acme.amocrm.ru.evil.example": false, "evil.example/acme.amocrm.ru": false,
		"acme.amocrm.ru:8443": false, "a.b.amocrm.ru": false, "": false, "acme.amocrm.ru.": false, "ACME.amocrm.ru": false} {
		require.Equal(t, want, AmoCRM.Owns(host), host)
	}
	require.True(t, Kommo.Owns("acme.kommo.com"))
	require.Equal(t, "https://acme.amocrm.ru", origin("acme.amocrm.ru"))
	require.Equal(t, "http://acme.amocrm.ru.localhost:8090", origin("acme.amocrm.ru.localhost:8090"))
}
