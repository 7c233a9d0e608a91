package amo

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/dealpay/dealpay/crm"
)

// errNotListed is the cause when the CRM accepted something and then does not list it.
var errNotListed = errors.New("accepted, but not listed yet")

// events are the webhooks we need (amocrm.ru "Webhooks"; Kommo "Webhooks"). A merged lead is reported as deleted.
var events = []string{"update_lead", "status_lead", "delete_lead", "restore_lead"}

type webhook struct {
	Destination string   `json:"destination"`
	Disabled    bool     `json:"disabled"`
	Settings    []string `json:"settings"`
}

func (w webhook) works() bool {
	for _, e := range events {
		if !slices.Contains(w.Settings, e) {
			return false
		}
	}
	return !w.Disabled
}

// ensureSubscription subscribes to events and returns where they go: "" when none are wanted, or when the
// account's tariff has no webhooks, which is no failure, because a webhook only saves time.
func (a *Account) ensureSubscription(ctx context.Context) (string, error) {
	if old := a.layout.Events; old != "" && old != a.cfg.EventsURL {
		if err := a.unsubscribe(ctx, old); err != nil {
			return "", err
		}
	}
	if a.cfg.EventsURL == "" {
		return "", nil
	}
	have, err := a.webhooks(ctx, a.cfg.EventsURL)
	if err != nil {
		return "", withoutTariff(err)
	}
	if len(have) == 1 && have[0].works() {
		return a.cfg.EventsURL, nil
	}
	// Whether posting a destination again updates it is not documented: delete first.
	if len(have) > 0 {
		if err := a.remove(ctx, a.cfg.EventsURL); err != nil {
			return "", err
		}
	}
	body := map[string]any{"destination": a.cfg.EventsURL, "settings": events}
	if err := a.do(ctx, call{method: http.MethodPost, path: "/webhooks", body: body}, nil); err != nil {
		return "", withoutTariff(err)
	}
	return a.cfg.EventsURL, nil
}

// withoutTariff forgives the answers by which the CRM says that the tariff has no webhooks.
func withoutTariff(err error) error {
	switch problemOf(err).status {
	case http.StatusPaymentRequired, http.StatusForbidden:
		if crm.ClassOf(err) != crm.Throttled {
			return nil
		}
	}
	return err
}

func (a *Account) webhooks(ctx context.Context, destination string) ([]webhook, error) {
	found, err := all[webhook](ctx, a, "/webhooks", "webhooks", url.Values{"filter[destination]": {destination}})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(w webhook) bool { return w.Destination != destination }), nil
}

// unsubscribe removes a destination if it is there.
func (a *Account) unsubscribe(ctx context.Context, destination string) error {
	have, err := a.webhooks(ctx, destination)
	if err != nil {
		return withoutTariff(err)
	}
	if len(have) == 0 {
		return nil
	}
	return a.remove(ctx, destination)
}

func (a *Account) remove(ctx context.Context, destination string) error {
	err := a.do(ctx, call{method: http.MethodDelete, path: "/webhooks", body: map[string]string{"destination": destination}}, nil)
	if err != nil && crm.ClassOf(err) != crm.Gone {
		return err
	}
	return nil
}

// Leave removes the webhook subscription. Fields stay: they hold history.
func (a *Account) Leave(ctx context.Context) error {
	wanted := []string{a.layout.Events, a.cfg.EventsURL}
	slices.Sort(wanted)
	for _, destination := range slices.Compact(wanted) {
		if destination == "" {
			continue
		}
		if err := a.unsubscribe(ctx, destination); err != nil {
			return err
		}
	}
	return nil
}
