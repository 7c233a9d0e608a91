package telcell

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

// fields are those of a callback, in the order of its checksum (Shop gateway, "Result notification").
var fields = []string{"invoice", "issuer_id", "payment_id", "currency", "sum", "time", "status"}

// statusForm is how a status looks, whichever it is.
var statusForm = regexp.MustCompile(`^[A-Z][A-Z_ ]{0,39}$`)

// Hear reads a callback, which comes as a query or as a form. Every field must have its form, and none may come twice:
// without separators the checksum alone would let digits move from one field to another. The status is not believed.
func (p *Provider) Hear(c payments.Connection, n payments.Notice) (payments.Heard, error) {
	got, err := wire.Form(n)
	if err != nil {
		return payments.Heard{}, fmt.Errorf("telcell: %w", err)
	}
	order, named := reference(got["issuer_id"])
	_, timeErr := time.Parse(layout, got["time"])
	_, sumErr := state.Parse(got["sum"], wire.Currency(got["currency"]))
	if !named || timeErr != nil || len(got["currency"]) > 3 || sumErr != nil || !number.MatchString(got["invoice"]) ||
		!number.MatchString(got["payment_id"]) || !statusForm.MatchString(got["status"]) {
		return payments.Heard{}, fmt.Errorf("%w: telcell: a field has not its form", payments.ErrNotice)
	}
	hashed := fields
	if c.Credentials["callback"] == "buyer" {
		hashed = slices.Insert(slices.Clone(fields), 3, "buyer")
	}
	var values []string
	for _, name := range hashed {
		values = append(values, got[name])
	}
	return payments.Heard{Reference: order, ProviderRef: got["invoice"], Signed: true, Authentic: signed(c, got["checksum"], values...)}, nil
}
