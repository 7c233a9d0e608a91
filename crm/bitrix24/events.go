package bitrix24

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/dealpay/dealpay/crm"
)

// ErrEvent is returned for a request that is no event we know.
var ErrEvent = errors.New("bitrix24: no event of ours")

var kinds = map[string]crm.EventKind{
	"ONCRMDEALADD": crm.DealChanged, "ONCRMDEALUPDATE": crm.DealChanged, "ONCRMDEALMOVETOCATEGORY": crm.DealChanged,
	"ONCRMDEALDELETE": crm.DealDeleted, "ONAPPUNINSTALL": crm.Uninstalled,
	"ONAPPINSTALL": crm.AppChanged, "ONAPPUPDATE": crm.AppChanged, "ONAPPPAYMENT": crm.AppChanged,
}

// ParseEvent reads an event (vendor documentation "Events": a form with PHP's bracket keys). Nothing in it is
// believed: the caller compares AppToken in constant time and then reads what the event is about. Tokens that came
// along are ignored. ONAPPPAYMENT has no application token by the documentation; its AppToken may be empty, and it
// is a hint to look at app.info. A request that is no event is ErrEvent.
func ParseEvent(r *http.Request) (crm.Event, error) {
	values, err := form(r)
	if err != nil {
		return crm.Event{}, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	name := strings.ToUpper(values.Get("event"))
	kind, ok := kinds[name]
	if !ok {
		return crm.Event{}, fmt.Errorf("%w: unknown name", ErrEvent)
	}
	e := crm.Event{Kind: kind, AccountKey: values.Get("auth[member_id]"), AppToken: values.Get("auth[application_token]")}
	if !memberID.MatchString(e.AccountKey) {
		return crm.Event{}, fmt.Errorf("%w: member_id is missing or odd", ErrEvent)
	}
	if !tokenish.MatchString(e.AppToken) && (e.AppToken != "" || name != "ONAPPPAYMENT") {
		return crm.Event{}, fmt.Errorf("%w: application_token is missing or odd", ErrEvent)
	}
	switch kind {
	case crm.DealChanged, crm.DealDeleted:
		if e.DealID = values.Get("data[FIELDS][ID]"); !isID(e.DealID) {
			return crm.Event{}, fmt.Errorf("%w: no deal", ErrEvent)
		}
	case crm.Uninstalled:
		e.Clean = text(values.Get("data[CLEAN]")).yes()
	}
	return e, nil
}
