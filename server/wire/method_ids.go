package wire

// The methods, by package of the PDK.
const (
	_ MethodID = iota

	RequestGetScheme
	RequestGetHost
	RequestGetPort
	RequestGetForwardedScheme
	RequestGetForwardedHost
	RequestGetForwardedPort
	RequestGetHTTPVersion
	RequestGetMethod
	RequestGetPath
	RequestGetPathWithQuery
	RequestGetRawQuery
	RequestGetQueryArg
	RequestGetQuery
	RequestGetHeader
	RequestGetHeaders
	RequestGetRawBody
	RequestGetURICaptures

	ResponseGetStatus
	ResponseGetHeader
	ResponseGetHeaders
	ResponseGetSource
	ResponseSetStatus
	ResponseSetHeader
	ResponseAddHeader
	ResponseClearHeader
	ResponseSetHeaders
	ResponseExit

	ServiceRequestSetHeader
	ServiceRequestAddHeader
	ServiceRequestClearHeader
	ServiceRequestSetHeaders

	ClientGetIP
	ClientGetForwardedIP
	ClientGetPort
	ClientGetForwardedPort
	ClientGetCredential
	ClientGetConsumer
	ClientGetProtocol

	LogAlert
	LogCrit
	LogErr
	LogWarn
	LogNotice
	LogInfo
	LogDebug
	LogSerialize

	CtxSharedSet
	CtxSharedGet

	NginxGetVar
	NginxGetTLS1VersionStr
	NginxGetCtx
	NginxReqStartTime
	NginxGetSubsystem

	RequestGetRawPath
	RequestGetForwardedPath
	RequestGetForwardedPrefix
	RequestGetStartTime
	RequestGetBody

	ResponseError

	ServiceSetUpstream
	ServiceSetTarget
	ServiceSetRetries
	ServiceSetTimeouts
	ServiceSetTLSVerify
	ServiceSetTLSVerifyDepth

	ServiceRequestSetScheme
	ServiceRequestSetPath
	ServiceRequestSetRawQuery
	ServiceRequestSetMethod
	ServiceRequestSetQuery
	ServiceRequestClearQueryArg
	ServiceRequestSetRawBody
	ServiceRequestSetBody
	ServiceRequestEnableBuffering

	ServiceResponseGetStatus
	ServiceResponseGetHeader
	ServiceResponseGetHeaders
	ServiceResponseGetRawBody
	ServiceResponseGetBody

	ClientLoadConsumer
	ClientAuthenticate
	ClientTLSRequestClientCertificate
	ClientTLSDisableSessionReuse
	ClientTLSGetFullClientCertificateChain
	ClientTLSSetClientVerify

	LogEmerg
	LogSetSerializeValue

	CtxPluginSet
	CtxPluginGet

	NginxSetCtx

	IPIsTrusted

	NodeGetID
	NodeGetHostname
	NodeGetMemoryStats

	ClusterGetID

	PluginGetID

	RouterGetRoute
	RouterGetService

	VaultGet
	VaultIsReference
	VaultParseReference

	methodCount
)
