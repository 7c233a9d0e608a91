package wire

import (
	"time"

	"github.com/dealpay/dealpay/payments"
)

// Life is how long a checkout that is opened now may stay open: until the order's deadline, in whole seconds, at least a
// minute and at most longest, which is also what an order without a deadline gets.
func Life(o payments.Order, now time.Time, longest time.Duration) time.Duration {
	if o.Deadline.IsZero() {
		return longest
	}
	return max(time.Minute, min(longest, o.Deadline.Sub(now).Truncate(time.Second)))
}
