package amotest

// Switches choose between behaviours that the public documentation leaves open or that differ
// between tariffs. POST /_control/switches changes the ones it names.
type Switches struct {
	StrictRefresh  bool   `json:"strict_refresh"`   // refuse a refresh token after its first use
	DeletedGet     int    `json:"deleted_get"`      // status of GET on a deleted lead: 204 or 404
	ThrottleHTML   bool   `json:"throttle_html"`    // 429 as the gateway's HTML page instead of JSON
	RetryAfter     int    `json:"retry_after"`      // seconds, in the JSON body of 429; 0 leaves it out
	BlockSeconds   int    `json:"block_seconds"`    // how long 403 lasts after ten seconds of excess
	Strangers      int    `json:"strangers"`        // requests a second that other integrations take from the account's 50
	MinorUnits     bool   `json:"minor_units"`      // leads carry price_with_minor_units
	Shuffle        bool   `json:"shuffle"`          // answers to batches come in another order
	Paid           bool   `json:"paid"`             // false: writes answer 402
	WebhooksPlan   bool   `json:"webhooks_plan"`    // false: the tariff has no webhooks, subscribing answers 402
	InvoiceNotes   bool   `json:"invoice_notes"`    // notes of type invoice_paid may be created
	AdminClaim     bool   `json:"admin_claim"`      // one-time tokens carry is_admin
	ReuseTokens    bool   `json:"reuse_tokens"`     // the page reuses a one-time token until it expires
	AccountInHooks bool   `json:"account_in_hooks"` // webhook bodies carry account[...]
	HookFirst      bool   `json:"hook_first"`       // the install hook comes before the widget's onSave
	AppAlias       bool   `json:"app_alias"`        // amoCRM's pages also have the global APP
	PipelineForm   bool   `json:"pipeline_form"`    // Digital Pipeline hooks are form-encoded instead of JSON
	UserLang       string `json:"user_lang"`        // language of the pages; empty: the account's own
}

func defaultSwitches(c Config) Switches {
	return Switches{StrictRefresh: c.StrictRefresh, DeletedGet: 204, ThrottleHTML: !c.Variant.PerIP, RetryAfter: 1,
		BlockSeconds: 600, Shuffle: true, Paid: true, WebhooksPlan: true, AdminClaim: !c.Variant.PerIP,
		AccountInHooks: true, AppAlias: true}
}
