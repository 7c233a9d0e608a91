package bitrix24test

import (
	"net/url"
	"slices"
)

// placement is a registered widget handler.
type placement struct {
	code, url, title string
	langs            params
}

var placementMethods = map[string]method{
	"placement.bind":   {scope: "placement", write: true, run: adminOnly(placementBind)},
	"placement.unbind": {scope: "placement", write: true, run: adminOnly(placementUnbind)},
	"placement.get":    {scope: "placement", run: adminOnly(placementGet)},
	"placement.list":   {scope: "placement", run: func(*call) (any, *restError) { return placementCodes, nil }},
}

// TabPlacement is the code of a tab in the deal card.
const TabPlacement = "CRM_DEAL_DETAIL_TAB"

var placementCodes = []string{TabPlacement, "CRM_DEAL_DETAIL_TOOLBAR", "CRM_DEAL_DETAIL_ACTIVITY", "CRM_DEAL_DOCUMENTGENERATOR_BUTTON",
	"CRM_DEAL_ACTIVITY_TIMELINE_MENU", "CRM_DEAL_LIST_MENU", "CRM_DEAL_LIST_TOOLBAR", "CRM_DEAL_ROBOT_DESIGNER_TOOLBAR",
	"CRM_SMART_INVOICE_DETAIL_TAB", "CRM_SMART_INVOICE_DETAIL_TOOLBAR", "REST_APP_URI", "PAGE_BACKGROUND_WORKER", "LEFT_MENU"}

// argument checks a required parameter of the placement methods.
func (c *call) argument(name string) (string, *restError) {
	v := text(c.params[name])
	if v == "" {
		return "", &restError{status: 400, code: "ERROR_ARGUMENT", text: "Argument '" + name + "' is null or empty", extra: params{"argument": name}}
	}
	return v, nil
}

// checkHandler refuses what is no web address.
func checkHandler(handler string) *restError {
	u, err := url.Parse(handler)
	switch {
	case err != nil || u.Host == "":
		return bad("ERROR_WRONG_HANDLER_URL", "Wrong handler URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return bad("ERROR_UNSUPPORTED_PROTOCOL", "Unsupported event handler protocol")
	}
	return nil
}

// placementBind registers a widget (page "Set Widget Handler").
func placementBind(c *call) (any, *restError) {
	code, refused := c.argument("PLACEMENT")
	if refused != nil {
		return nil, refused
	}
	handler, refused := c.argument("HANDLER")
	if refused != nil {
		return nil, refused
	}
	if !slices.Contains(placementCodes, code) {
		return nil, bad("ERROR_PLACEMENT_NOT_FOUND", "Placement not found")
	}
	if refused := checkHandler(handler); refused != nil {
		return nil, refused
	}
	single := code == "REST_APP_URI" || code == "PAGE_BACKGROUND_WORKER"
	for _, have := range c.p.install.placements {
		if have.code != code {
			continue
		}
		if have.url == handler {
			return nil, bad("ERROR_CORE", "Unable to set placement handler: Handler already binded")
		}
		if single {
			return nil, bad("ERROR_PLACEMENT_MAX_COUNT", "Placement max count")
		}
	}
	langs, _ := object(c.params["LANG_ALL"])
	c.p.install.placements = append(c.p.install.placements, &placement{code: code, url: handler, title: text(c.params["TITLE"]), langs: langs})
	return true, nil
}

// placementUnbind counts each removed record twice, as the real one does.
func placementUnbind(c *call) (any, *restError) {
	code, refused := c.argument("PLACEMENT")
	if refused != nil {
		return nil, refused
	}
	handler, before := text(c.params["HANDLER"]), len(c.p.install.placements)
	c.p.install.placements = slices.DeleteFunc(c.p.install.placements, func(have *placement) bool {
		return have.code == code && (handler == "" || have.url == handler)
	})
	return params{"count": 2 * (before - len(c.p.install.placements))}, nil
}

func placementGet(c *call) (any, *restError) {
	rows := []params{}
	for _, have := range c.p.install.placements {
		rows = append(rows, params{"placement": have.code, "userId": 0, "handler": have.url, "options": []any{},
			"title": have.title, "description": "", "langAll": phpMap(have.langs)})
	}
	return rows, nil
}

// name is the widget's title in a language; TITLE is the fallback.
func (w *placement) name(lang string) string {
	if byLang, ok := object(w.langs[lang]); ok && text(byLang["TITLE"]) != "" {
		return text(byLang["TITLE"])
	}
	return w.title
}
