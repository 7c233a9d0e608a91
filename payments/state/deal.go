package state

import "time"

// Balance is a deal's invoices taken together. Amounts are minor units of the deal's one currency.
type Balance struct {
	Status      Status // empty when the deal has no invoice
	Due         int64
	Paid        int64
	Refunded    int64
	Outstanding int64
	PaidAt      time.Time
	RefundedAt  time.Time
}

// dealOrder is the order in which one invoice's status stands for the whole deal.
var dealOrder = []Status{ManualReview, Disputed, PaymentFailed, AwaitingPayment, Expired}

// InvoicePicture is an invoice's amount with its picture.
type InvoicePicture struct {
	Amount int64
	Picture
}

// Sum returns the balance of a deal. Cancelled invoices are owed by nobody; money that came for them still counts.
func Sum(invoices []InvoicePicture) Balance {
	var b Balance
	seen := map[Status]int{}
	for _, in := range invoices {
		seen[in.Status]++
		b.Paid += in.Paid
		b.Refunded += in.Refunded
		b.PaidAt, b.RefundedAt = later(b.PaidAt, in.PaidAt), later(b.RefundedAt, in.RefundedAt)
		if in.Status != Cancelled {
			b.Due += in.Amount
			b.Outstanding += in.Outstanding
		}
	}
	b.Status = dealStatus(seen, len(invoices))
	return b
}

func dealStatus(seen map[Status]int, n int) Status {
	for _, s := range dealOrder {
		if seen[s] > 0 {
			return s
		}
	}
	live := n - seen[Cancelled]
	switch {
	case n == 0:
		return ""
	case live == 0:
		return Cancelled
	case seen[Refunded] == live:
		return Refunded
	case seen[Refunded]+seen[PartiallyRefunded] > 0:
		return PartiallyRefunded
	}
	return Paid
}
