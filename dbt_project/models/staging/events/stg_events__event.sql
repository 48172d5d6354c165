-- Grain: one row per event and day on which a copy of it was received (event_id, received_date).
with

source as (

    select * from {{ lake('events', 'events') }}

),

renamed as (

    select
        -- keys
        event_id,
        device_id,
        session_id,
        user_id,

        -- what
        event_name,
        schema_version,

        -- where and with what
        platform,
        device_model,
        os_version,
        app_version,
        country_code,

        -- when
        event_at,
        cast(event_at as date) as event_date,
        occurred_at,
        sent_at,
        received_at,
        cast(received_at as date) as received_date,

        -- properties of one kind of event each
        phase,
        error_code,
        start_type,
        network_type,
        method as sign_up_method,
        title_id,
        list_position,
        playback_id,
        audio_language,
        startup_seconds,
        position_seconds,
        watched_seconds,
        reason as stop_reason,
        experiment_id,
        variant_id

    from source

)

select *
from renamed
where {{ is_among('event_date', 'read_dates') }}
