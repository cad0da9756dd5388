package server

// A Reason says why a message was answered as it was, or not at all. Its text
// is for the log and for the page.
type Reason int

// The reasons, those with an answer first.
const (
	Offer Reason = iota + 1
	Bound
	Renewed
	Rebooted
	Informed
	Probing

	NotThisNetwork
	NotOurs
	TakenByAnother
	ReservedForAnother
	HasReservation
	HasAnother
	Unknown

	Released
	DeclinedInUse
	ChoseAnotherServer
	PoolFull
	KeptForRegulars
	IgnoredHost
	NoIdentity
	Oversized
	NoAddress
	NotHeld
	NotARequest
	NotForUs
	OtherRelay
	AgentUnknown
	NoBOOTP
	NotKept
)

var texts = [...]string{
	Offer:    "offered",
	Bound:    "bound",
	Renewed:  "renewed",
	Rebooted: "kept its address over a reboot",
	Informed: "informed",
	Probing:  "asking first who uses the address",

	NotThisNetwork:     "address belongs to another network",
	NotOurs:            "address is not ours to give",
	TakenByAnother:     "address belongs to another client",
	ReservedForAnother: "address is reserved for another client",
	HasReservation:     "client has a reserved address",
	HasAnother:         "client holds another address",
	Unknown:            "no record of this client",

	Released:           "released",
	DeclinedInUse:      "address is in use by somebody else",
	ChoseAnotherServer: "chose another server",
	PoolFull:           "pool full: every address is leased",
	KeptForRegulars:    "pool full: the last addresses are kept for devices seen before",
	IgnoredHost:        "client is configured to be ignored",
	NoIdentity:         "message names no client",
	Oversized:          "message has options so long that no answer could have them",
	NoAddress:          "message names no address",
	NotHeld:            "client does not hold this address",
	NotARequest:        "not a message for a server",
	NotForUs:           "sent to another machine",
	OtherRelay:         "comes from a relay on a network that is not configured",
	AgentUnknown:       "to be asked through its relay agent first, which is its router",
	NoBOOTP:            "BOOTP client without a reserved address",
	NotKept:            "a lease for ever cannot be kept now",
}

// String returns the reason as a person would say it.
func (r Reason) String() string {
	if r > 0 && int(r) < len(texts) {
		return texts[r]
	}
	return "unknown reason"
}
