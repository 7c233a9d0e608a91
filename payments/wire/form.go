package wire

import (
	"fmt"
	"net/url"

	"github.com/dealpay/dealpay/payments"
)

// maxFields bounds a notice that is a form; the documented ones have a dozen.
const maxFields = 50

// Form reads a notice that is a form, from its query and its body together. A name that comes twice makes it
// ErrNotice: which of the two is signed could be answered in two ways.
func Form(n payments.Notice) (map[string]string, error) {
	fields := map[string]string{}
	for _, text := range []string{n.Query, string(n.Body)} {
		values, err := url.ParseQuery(text)
		if err != nil {
			return nil, fmt.Errorf("%w: not a form", payments.ErrNotice)
		}
		for name, all := range values {
			if _, twice := fields[name]; twice || len(all) > 1 {
				return nil, fmt.Errorf("%w: a field comes twice", payments.ErrNotice)
			}
			fields[name] = all[0]
		}
	}
	if len(fields) == 0 || len(fields) > maxFields {
		return nil, fmt.Errorf("%w: %d fields", payments.ErrNotice, len(fields))
	}
	return fields, nil
}
