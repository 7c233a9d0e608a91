package state

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func invoice(facts ...Fact) InvoicePicture {
	return InvoicePicture{Amount: owed.Minor, Picture: Fold(owed, facts)}
}

func TestADealShowsItsInvoicesAsOne(t *testing.T) {
	pay := []Fact{started("a", 1), paid("a", 10, owed)}
	open := invoice()
	full := invoice(pay...)
	failed := invoice(started("a", 1), saw("a", AttemptFailed))
	expired := invoice(over(20))
	cancelled := invoice(withdrawn())
	review := invoice(append(pay, over(3))...)
	dispute := invoice(append(pay, disputed(DisputeOpened, "a", "d", owed))...)
	partly := invoice(append(pay, back("a", 20, amd(30_000)))...)
	refunded := invoice(append(pay, back("a", 30, owed))...)
	lateBack := invoice(append(pay, withdrawn(), back("a", 30, owed))...)

	for _, c := range []struct {
		name                         string
		invoices                     []InvoicePicture
		status                       Status
		due, paid, back, outstanding int64
	}{
		{"none", nil, "", 0, 0, 0, 0},
		{"one open", []InvoicePicture{open}, AwaitingPayment, 100_000, 0, 0, 100_000},
		{"deposit paid, remainder open", []InvoicePicture{full, open}, AwaitingPayment, 200_000, 100_000, 0, 100_000},
		{"all paid", []InvoicePicture{full, full}, Paid, 200_000, 200_000, 0, 0},
		{"a failure before an open one", []InvoicePicture{open, failed}, PaymentFailed, 200_000, 0, 0, 200_000},
		{"an open one before what expired", []InvoicePicture{expired, open}, AwaitingPayment, 200_000, 0, 0, 200_000},
		{"what expired before what is paid", []InvoicePicture{full, expired}, Expired, 200_000, 100_000, 0, 100_000},
		{"a dispute before a failure", []InvoicePicture{failed, dispute}, Disputed, 200_000, 100_000, 0, 100_000},
		{"a review before all", []InvoicePicture{dispute, review, failed}, ManualReview, 300_000, 200_000, 0, 200_000},
		{"cancelled and issued again", []InvoicePicture{cancelled, full}, Paid, 100_000, 100_000, 0, 0},
		{"all cancelled", []InvoicePicture{cancelled, cancelled}, Cancelled, 0, 0, 0, 0},
		{"one of two refunded", []InvoicePicture{full, refunded}, PartiallyRefunded, 200_000, 200_000, 100_000, 0},
		{"a part refunded", []InvoicePicture{partly, cancelled}, PartiallyRefunded, 100_000, 100_000, 30_000, 0},
		{"all refunded", []InvoicePicture{refunded, refunded, cancelled}, Refunded, 200_000, 200_000, 200_000, 0},
		{"late money on a cancelled one sent back", []InvoicePicture{lateBack, full}, PartiallyRefunded, 200_000, 200_000, 100_000, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := Sum(c.invoices)
			require.Equal(t, c.status, b.Status)
			require.Equal(t, [4]int64{c.due, c.paid, c.back, c.outstanding}, [4]int64{b.Due, b.Paid, b.Refunded, b.Outstanding})
		})
	}
	b := Sum([]InvoicePicture{full, refunded, open})
	require.Equal(t, at(10), b.PaidAt)
	require.Equal(t, at(30), b.RefundedAt)
}
