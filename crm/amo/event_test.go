package amo

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
)

func hookRequest(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, "/amocrm/events/x", strings.NewReader(body))
}

func TestEveryLeadOfABodyIsAnEvent(t *testing.T) {
	body := "account[subdomain]=acme&account%5Bid%5D=1312313&leads[status][0][id]=1&leads[status][0][status_id]=142" +
		"&leads[status][7][id]=2&leads[update][0][id]=1&leads[update][10][id]=4&leads[update][9][id]=3&leads[delete][0][id]=5" +
		"&contacts[update][0][id]=6&leads[note][0][note][element_id]=8"
	events, err := ParseEvents(hookRequest(body))
	require.NoError(t, err)
	changed := func(id string) crm.Event { return crm.Event{Kind: crm.DealChanged, AccountKey: "1312313", DealID: id} }
	require.Equal(t, []crm.Event{changed("1"), changed("3"), changed("4"), changed("2"),
		{Kind: crm.DealDeleted, AccountKey: "1312313", DealID: "5"}}, events)
}

func TestOneBadPairDoesNotSpoilTheRest(t *testing.T) {
	body := "%zz=1&leads[status][0][price=9&leads[status][0][id]=1&leads[status][1][id]=x&leads[status][0][custom_fields][0][values][0]=17&=&leads" +
		strings.Repeat("[a]", 100) + "=1&leads[status][2]"
	events, err := ParseEvents(hookRequest(body))
	require.NoError(t, err)
	require.Equal(t, []crm.Event{{Kind: crm.DealChanged, DealID: "1"}}, events)
}

func TestABodyThatIsNoWebhookIsRefused(t *testing.T) {
	for _, body := range []string{"", "&&&", `{"leads": `, "leads[update][0][id]=1&x=" + strings.Repeat("a", maxHook)} {
		_, err := ParseEvents(hookRequest(body))
		require.ErrorIs(t, err, ErrHook)
	}
	events, err := ParseEvents(hookRequest("hello"))
	require.NoError(t, err)
	require.Empty(t, events)
}

func TestDocumentedWebhooksAreRead(t *testing.T) {
	for name, want := range map[string][]crm.Event{
		"leads.add":         {{Kind: crm.DealChanged, AccountKey: "66666666", DealID: "1111111"}},
		"leads.status":      {{Kind: crm.DealChanged, AccountKey: "12345678", DealID: "15318175"}},
		"leads.responsible": {{Kind: crm.DealChanged, AccountKey: "12345678", DealID: "15318175"}},
		"leads.delete":      {{Kind: crm.DealDeleted, DealID: "12345678"}},
		"contacts.delete":   nil, "catalogs.update": nil, "message.add": nil,
	} {
		for _, form := range []string{".form", ".json"} {
			events, err := ParseEvents(hookRequest(string(fixture(t, "kommo/webhook."+name+form))))
			require.NoError(t, err, name)
			require.Equal(t, want, events, name+form)
		}
	}
}

func TestPipelineHooksAreReadInBothForms(t *testing.T) {
	want := []Entered{{AccountKey: "12345678", Subdomain: "my_company", DealID: "123123", Pipeline: "123456", Stage: "654321",
		Code: "lead_appeared_in_status"}}
	form := "event[type]=15&event[type_code]=lead_appeared_in_status&event[data][id]=123123&event[data][element_type]=2" +
		"&event[data][status_id]=654321&event[data][pipeline_id]=123456&subdomain=my_company&account_id=12345678"
	got, err := ParsePipeline(hookRequest(form))
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = ParsePipeline(hookRequest(strings.Replace(form, "element_type]=2", "element_type]=12", 1)))
	require.NoError(t, err)
	require.Empty(t, got, "a customer is no deal")

	got, err = ParsePipeline(hookRequest(string(fixture(t, "kommo/dp-widget-hook.json"))))
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = ParsePipeline(hookRequest(string(fixture(t, "kommo/dp-stage-webhook.json"))))
	require.NoError(t, err)
	require.Equal(t, []Entered{{DealID: "1234567", Pipeline: "321000", Stage: "765000"}}, got)
}
