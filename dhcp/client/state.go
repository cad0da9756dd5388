package client

// A State is a state of RFC 2131, figure 5.
type State uint8

// The states. Two are not in the figure: Stopped, before Start and after
// Release; and Probing, when the server has spoken and the link has not.
const (
	Stopped State = iota
	Init
	Selecting
	Requesting
	InitReboot
	Rebooting
	Probing
	Bound
	Renewing
	Rebinding
)

var stateNames = [...]string{
	Stopped:    "STOPPED",
	Init:       "INIT",
	Selecting:  "SELECTING",
	Requesting: "REQUESTING",
	InitReboot: "INIT-REBOOT",
	Rebooting:  "REBOOTING",
	Probing:    "PROBING",
	Bound:      "BOUND",
	Renewing:   "RENEWING",
	Rebinding:  "REBINDING",
}

// String is the name that the RFC uses.
func (s State) String() string { return stateNames[s] }
