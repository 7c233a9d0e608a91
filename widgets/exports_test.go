package widgets

import (
	"bytes"
	"encoding/csv"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/ledger"
	"github.com/dealpay/dealpay/widgets/sheet"
)

// TestEveryColumnOfAnExportHoldsItsOwnValue writes a movement in which no two values are alike, in each format.
func TestEveryColumnOfAnExportHoldsItsOwnValue(t *testing.T) {
	zone := time.FixedZone("+04", 4*60*60)
	at := func(hour int) *time.Time {
		moment := time.Date(2026, 3, 9, hour, 30, 5, 0, time.UTC)
		return &moment
	}
	m := payments.Movement{ID: 7, Day: time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC), At: *at(21), Kind: ledger.ChargebackLost,
		Payment: "payment", Invoice: "DP-1", DealID: "deal", Customer: "contact 4", Acquirer: "ameria", Order: "DP-1-2", Provider: "GUID", Currency: "AMD",
		Amount: -1_050, Fee: 207, Payout: 3_010, NonCash: 4_001, Captured: 50_000, Refunded: 6_025, TotalFee: 702, TheirTime: at(1), RefundedAt: at(2),
		Actor: "user:8", Method: "transfer", Reference: "document", Reason: "reason", Received: at(3),
		Decision: "confirmed", DecidedBy: "user:9", DecisionReason: "letter", DecisionReference: "letter 17",
		Receipt: "receipt", ReceiptKind: "advance", ReceiptState: "printed"}
	for i := range reflect.TypeFor[payments.Movement]().NumField() {
		require.False(t, reflect.ValueOf(m).Field(i).IsZero(), "a field that could be forgotten: %s", reflect.TypeFor[payments.Movement]().Field(i).Name)
	}

	type row struct{ key, csv, oneC, xlsx string }
	same := func(key, value string) row { return row{key, value, value, value} }
	money := func(key, plain, comma, short string) row { return row{key, plain, comma, short} }
	when := func(key, utc, local string) row {
		iso, err := time.Parse("02.01.2006 15:04:05", local)
		require.NoError(t, err)
		return row{key, utc, local, iso.Format(time.DateTime)}
	}
	want := []row{
		{"day", "2026-03-10", "10.03.2026", "2026-03-10"}, same("kind", "chargeback_lost"), same("payment_id", "payment"), same("invoice", "DP-1"),
		same("deal", "deal"), same("customer", "contact 4"), same("acquirer", "ameria"), same("order", "DP-1-2"), same("provider_ref", "GUID"), same("currency", "AMD"),
		money("amount", "-10.50", "-10,50", "-10.50"), money("fee", "2.07", "2,07", "2.07"), money("payout", "30.10", "30,10", "30.10"),
		money("non_cash", "40.01", "40,01", "40.01"), money("payment_amount", "500.00", "500,00", "500.00"), money("payment_refunded", "60.25", "60,25", "60.25"),
		money("payment_fee", "7.02", "7,02", "7.02"), same("refund_state", "partial"), when("verified_at", "2026-03-09T21:30:05Z", "10.03.2026 01:30:05"),
		when("acquirer_paid_at", "2026-03-09T01:30:05Z", "09.03.2026 05:30:05"), when("refunded_at", "2026-03-09T02:30:05Z", "09.03.2026 06:30:05"),
		same("evidence", "both"), same("actor", "user:8"), same("method", "transfer"), when("received_at", "2026-03-09T03:30:05Z", "09.03.2026 07:30:05"),
		same("reference", "document"), same("reason", "reason"), same("decision", "confirmed"), same("decided_by", "user:9"), same("decision_reason", "letter"),
		same("decision_reference", "letter 17"), same("receipt", "receipt"), same("receipt_kind", "advance"), same("receipt_state", "printed"),
	}
	require.Len(t, columns, len(want))
	var cells []sheet.Cell
	for i, c := range columns {
		require.Equal(t, want[i].key, c.key)
		cells = append(cells, c.cell(m))
	}

	var plain, oneC, xlsx bytes.Buffer
	book, err := sheet.XLSX(&xlsx, "Payments", zone)
	require.NoError(t, err)
	for _, w := range []sheet.Writer{sheet.CSV(&plain), sheet.OneC(&oneC, zone), book} {
		require.NoError(t, w.Row(cells...))
		require.NoError(t, w.Close())
	}
	comma := csv.NewReader(&plain)
	got, err := comma.Read()
	require.NoError(t, err)
	semicolon := csv.NewReader(strings.NewReader(strings.TrimPrefix(oneC.String(), "\uFEFF")))
	semicolon.Comma = ';'
	got1C, err := semicolon.Read()
	require.NoError(t, err)
	opened, err := excelize.OpenReader(&xlsx)
	require.NoError(t, err)
	shown, err := opened.GetRows("Payments")
	require.NoError(t, err)
	for i, w := range want {
		require.Equal(t, []string{w.csv, w.oneC, w.xlsx}, []string{got[i], got1C[i], shown[0][i]}, w.key+" in column "+strconv.Itoa(i))
	}
}
